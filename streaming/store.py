"""The object store as the stream writes it: whole Parquet and Puffin files, each under a name used once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from catalog.files import s3_files
from catalog.settings import Settings
from streaming.keys import FileKeys, key_numbers
from streaming.puffin import Vector, read_vector


@dataclass(frozen=True)
class WrittenFile:
    """A file that no snapshot refers to yet."""

    path: str
    size: int
    rows: int


class Store:
    """Reads and writes files by their `s3://` path."""

    def __init__(self, settings: Settings) -> None:
        self._files = s3_files(settings)

    def write_parquet(self, location: str, table: pa.Table) -> WrittenFile:
        """Write one data file below `location`."""
        path = f"{location}/{uuid.uuid4()}.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", compression_level=1, row_group_size=1 << 20)
        return self._put(path, sink.getvalue(), table.num_rows)

    def write_vector(self, location: str, content: bytes, deleted: int) -> WrittenFile:
        """Write one Puffin file below `location`; `deleted` counts the rows its vector names."""
        return self._put(f"{location}/{uuid.uuid4()}-deletes.puffin", content, deleted)

    def _put(self, path: str, content: Any, rows: int) -> WrittenFile:
        with self._files.open_output_stream(_key(path)) as stream:
            stream.write(content)
        return WrittenFile(path, len(content), rows)

    def read_keys(self, path: str, columns: Sequence[str]) -> FileKeys:
        """The key columns of a data file, indexed."""
        return FileKeys.of(key_numbers(self.read_parquet(path, columns)))

    def read_parquet(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A data file, or some of its columns; those that it lacks are left out."""
        with self._files.open_input_file(_key(path)) as file:
            parquet = pq.ParquetFile(file)
            held = None if columns is None else [name for name in columns if name in parquet.schema_arrow.names]
            return parquet.read(columns=held)

    def read_deleted(self, vector: Vector | None) -> BitMap:
        """The deleted rows that a vector names; none without one."""
        return read_vector(self.read_bytes(vector.path, vector.offset, vector.length)) if vector else BitMap()

    def read_bytes(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file."""
        with self._files.open_input_file(_key(path)) as file:
            file.seek(offset)
            return bytes(file.read(length))


def _key(path: str) -> str:
    return path.removeprefix("s3://")
