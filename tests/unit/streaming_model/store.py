"""The object store in memory: Parquet files as tables, Puffin files as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from streaming.puffin import Vector, read_vector
from streaming.store import WrittenFile


class Files:
    """The object store: Parquet files as tables, Puffin files as bytes."""

    def __init__(self) -> None:
        self._content: dict[str, Any] = {}
        self._numbers = count()

    def write_parquet(self, location: str, table: pa.Table) -> WrittenFile:
        return self._put(f"{location}/{next(self._numbers)}.parquet", table, table.num_rows)

    def write_vector(self, location: str, content: bytes, deleted: int) -> WrittenFile:
        return self._put(f"{location}/{next(self._numbers)}.puffin", content, deleted)

    def _put(self, path: str, content: Any, rows: int) -> WrittenFile:
        self._content[path] = content
        return WrittenFile(path, 1000 * rows + 1, rows)

    def read_parquet(self, path: str, columns: Sequence[str] | None = None, *, size: int | None = None) -> pa.Table:
        if path not in self._content:
            raise FileNotFoundError(path)
        table: pa.Table = self._content[path]
        return table if columns is None else table.select([name for name in columns if name in table.column_names])

    @contextmanager
    def opened(self, path: str, size: int | None) -> Iterator[pq.ParquetFile]:
        sink = pa.BufferOutputStream()
        pq.write_table(self.read_parquet(path), sink)
        yield pq.ParquetFile(pa.BufferReader(sink.getvalue()))

    def read_deleted(self, vector: Vector | None) -> BitMap:
        return read_vector(self.read_bytes(vector.path, vector.offset, vector.length)) if vector else BitMap()

    def read_bytes(self, path: str, offset: int, length: int) -> bytes:
        return bytes(self._content[path][offset : offset + length])
