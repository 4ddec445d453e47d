"""The object store as the stream writes it: whole Parquet and Puffin files, each under a name used once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyroaring import BitMap

from catalog.files import s3_files
from catalog.settings import Settings
from streaming.puffin import Vector, read_vector

_WHOLE_BYTES = 1 << 20
"""A file of at most so many bytes is read whole: one request instead of two and one more for each column."""


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

    def read_parquet(self, path: str, columns: Sequence[str] | None = None, *, size: int | None = None) -> pa.Table:
        """A data file, or some of its columns; those it lacks are left out. Its bytes, `size`, spare a request."""
        with self.opened(path, size) as parquet:
            return read_columns(parquet, columns)

    @contextmanager
    def opened(self, path: str, size: int | None) -> Iterator[pq.ParquetFile]:
        """A data file to read from more than once; a small one is fetched by the first request."""
        fragment = ds.ParquetFileFormat().make_fragment(_key(path), self._files, file_size=size)
        with fragment.open() as file:
            if size is not None and size <= _WHOLE_BYTES:
                yield pq.ParquetFile(pa.BufferReader(file.read_buffer()))
            else:
                yield pq.ParquetFile(file, pre_buffer=True)

    def read_deleted(self, vector: Vector | None) -> BitMap:
        """The deleted rows that a vector names; none without one."""
        return read_vector(self.read_bytes(vector.path, vector.offset, vector.length)) if vector else BitMap()

    def read_bytes(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file."""
        with self._files.open_input_file(_key(path)) as file:
            file.seek(offset)
            return bytes(file.read(length))


def read_columns(parquet: pq.ParquetFile, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of an open data file, or some columns of them; those that it lacks are left out."""
    held = None if columns is None else [name for name in columns if name in parquet.schema_arrow.names]
    return parquet.read(columns=held)


def _key(path: str) -> str:
    return path.removeprefix("s3://")
