"""Which rows of which files hold changed keys, and what is done with these files.

Most get a deletion vector: what that costs depends on the file not on its rows. Where an epoch meets many small files
it costs less to take their other rows into the epoch's own file, and the small files are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from streaming.files import KeyCache, MirrorFile
from streaming.keys import FileKeys, WantedKeys, bytes_of_a_row, key_numbers
from streaming.puffin import OFFSET, Vector, vector_file
from streaming.shape import shaped
from streaming.store import Store, read_columns

_SMALL_BYTES, _SMALL_ROWS = 256 << 10, 20_000
_MANY = 32
"""Twice what merging lets gather: such a table was not made by small epochs, or merging has not come to it yet."""
_MOST_BYTES = 64 << 20
"""Of small files that one epoch takes in: their rows are held in memory."""


def mark(store: Store, location: str, path: str, found: np.ndarray, before: BitMap) -> tuple[Vector, BitMap] | None:
    """Write the vector of a data file whose rows `found` are deleted too; None when that changes nothing."""
    deleted = before | BitMap(found)
    if len(deleted) == len(before):
        return None
    deleted.run_optimize()
    content, length = vector_file(deleted, path)
    written = store.write_vector(location, content, len(deleted))
    return Vector(written.path, written.size, written.rows, path, OFFSET, length), deleted


def mark_all(
    store: Store, location: str, wanted: WantedKeys, files: Iterable[tuple[str, int, Vector | None]]
) -> Iterator[Vector]:
    """The new vectors of those files (path, bytes, vector) that hold a wanted key; no file is kept in memory."""
    for path, size, vector in files:
        found = wanted.rows_in(store.read_parquet(path, wanted.rows.column_names, size=size))
        if found.size and (made := mark(store, location, path, found, store.read_deleted(vector))):
            yield made[0]


def many_small(files: Sequence[MirrorFile]) -> list[MirrorFile]:
    """The files to take in rather than to mark, bounded in bytes; none where they are few."""
    small = [file for file in files if file.live.size <= _SMALL_BYTES and file.live.rows <= _SMALL_ROWS]
    if len(small) <= _MANY:
        return []
    held = np.cumsum([file.live.size for file in small])
    return small[: int(np.searchsorted(held, _MOST_BYTES, "right"))]


@dataclass(frozen=True)
class Touched:
    """What an epoch does to files: `marked` before and after they got a vector; `emptied`, whose rows are `kept`."""

    marked: Sequence[tuple[MirrorFile, MirrorFile]] = ()
    emptied: Sequence[MirrorFile] = ()
    kept: Sequence[pa.Table] = ()


@dataclass(frozen=True)
class Lookup:
    """Looks for the changed keys of one epoch in a table's files."""

    store: Store
    cache: KeyCache
    wanted: WantedKeys
    schema: pa.Schema

    def found(self, file: MirrorFile) -> np.ndarray:
        """Rows of a file, deleted ones too, that hold a wanted key."""
        held = self.cache.held_of(file.path)
        if held is not None:
            return held.find(self.wanted.numbers)[0]
        return self._found_in(file, self.store.read_parquet(file.path, self._key, size=file.live.size))

    def others(self, file: MirrorFile) -> pa.Table | None:
        """The live rows of a file that hold no wanted key; None where none of its live rows holds one."""
        held = self.cache.held_of(file.path)
        if held is not None and not held.find(self.wanted.numbers)[0].size:
            return None
        with self.store.opened(file.path, file.live.size) as parquet:
            found = self.wanted.rows_in(read_columns(parquet, self._key))
            if not found.size:
                return None
            before = file.deleted(self.store)
            gone = before | BitMap(found)
            return None if len(gone) == len(before) else shaped(without(read_columns(parquet), gone), self.schema)

    @property
    def _key(self) -> list[str]:
        return list(self.wanted.rows.column_names)

    def _found_in(self, file: MirrorFile, keys: pa.Table) -> np.ndarray:
        if not self.cache.takes(len(keys) * bytes_of_a_row(keys.schema, self._key)):
            return self.wanted.rows_in(keys)
        indexed = FileKeys.of(key_numbers(keys))
        self.cache.put(file.path, indexed)
        return indexed.find(self.wanted.numbers)[0]


def without(rows: pa.Table, deleted: BitMap) -> pa.Table:
    """The rows of a whole data file that are not deleted."""
    if not deleted:
        return rows
    alive = np.ones(len(rows), dtype=bool)
    alive[np.frombuffer(deleted.to_array(), dtype=np.uint32)] = False
    return rows.filter(pa.array(alive))
