"""The mirror's data files as the driver knows them: key range, deleted rows, and a bounded cache of what was read."""

from __future__ import annotations

import bisect
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from streaming.iceberg import LiveFile
from streaming.keys import FileKeys, is_text
from streaming.puffin import Vector
from streaming.store import Store

Bound = int | bytes
_LITTLE = 256
"""This part of the memory is little."""
_CHANCE = 1 / 16


@dataclass
class MirrorFile:
    """A live data file. `lower` and `upper` bound its first key column; None means that it may hold any key."""

    live: LiveFile
    lower: Bound | None
    upper: Bound | None
    _deleted: BitMap | None = None

    @property
    def path(self) -> str:
        """Where it is."""
        return self.live.path

    @property
    def vector(self) -> Vector | None:
        """Its deletion vector in the table."""
        return self.live.vector

    @property
    def alive(self) -> int:
        """Rows that are not deleted."""
        return self.live.rows - (self.vector.cardinality if self.vector else 0)

    def deleted(self, store: Store) -> BitMap:
        """Its deleted rows."""
        if self._deleted is None:
            self._deleted = store.read_deleted(self.vector)
        return self._deleted

    def replaced(self, vector: Vector, deleted: BitMap | None) -> MirrorFile:
        """The same file after a commit that gave it a new vector; None when its rows were not brought along."""
        live = LiveFile(**{**self.live.__dict__, "vector": vector})
        return MirrorFile(live, self.lower, self.upper, deleted)


def mirror_file(live: LiveFile, first_key: pa.DataType) -> MirrorFile:
    """A live file with its bounds decoded."""
    return MirrorFile(live, _bound(live.lower, first_key), _bound(live.upper, first_key))


def _bound(encoded: bytes | None, kind: pa.DataType) -> Bound | None:
    """A bound that orders as keys do; format: https://iceberg.apache.org/spec/#binary-single-value-serialization."""
    if encoded is None:
        return None
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return int.from_bytes(encoded, "little", signed=True)
    if is_text(kind):
        return encoded
    return None


class WantedRange:
    """The first key column of the changed keys, in order, to ask which files can hold one of them."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        whole = column.combine_chunks()
        kind = whole.type
        self._numbers: np.ndarray | None = None
        self._texts: list[bytes] | None = None
        if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
            wide = whole.cast(pa.int32()) if pa.types.is_date32(kind) else whole
            self._numbers = np.sort(wide.cast(pa.int64()).to_numpy(zero_copy_only=False))
        elif is_text(kind):
            self._texts = sorted(whole.cast(pa.binary()).to_pylist())

    @property
    def lowest(self) -> Bound | None:
        """The smallest, or None where the type has no order here."""
        if self._numbers is not None:
            return int(self._numbers[0])
        return self._texts[0] if self._texts is not None else None

    @property
    def highest(self) -> Bound | None:
        """The largest, or None where the type has no order here."""
        if self._numbers is not None:
            return int(self._numbers[-1])
        return self._texts[-1] if self._texts is not None else None

    def may_be_in(self, file: MirrorFile) -> bool:
        """False only if no changed key lies within the file's bounds."""
        if file.lower is None or file.upper is None:
            return True
        if self._numbers is not None:
            low = np.searchsorted(self._numbers, file.lower, "left")
            return bool(low < np.searchsorted(self._numbers, file.upper, "right"))
        if self._texts is not None and isinstance(file.lower, bytes) and isinstance(file.upper, bytes):
            return bisect.bisect_left(self._texts, file.lower) < bisect.bisect_right(self._texts, file.upper)
        return True


class Sized(Protocol):
    """What knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""


Held = TypeVar("Held", bound=Sized)


class FileCache(Generic[Held]):
    """What was read of data files, at most `limit` bytes of it, shared by all tables and threads.

    When it is full a random file is dropped: an epoch that touches every file in turn would make the least recently
    used one exactly the next to be needed.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._files: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._random = random.Random(0)

    def get(self, path: str, read: Callable[[], Held]) -> Held:
        """What is known of a file, read if it is not held."""
        with self._lock:
            known = self._files.get(path)
        if known is not None:
            return known
        found = read()
        self.put(path, found)
        return found

    def held_of(self, path: str) -> Held | None:
        """What is held of a file, if anything is."""
        with self._lock:
            return self._files.get(path)

    def takes(self, size: int) -> bool:
        """Whether to hold so many bytes more: where there is room, a little at any time, and else by chance.

        So the memory follows what is asked for, and most of what does not fit costs nothing to prepare.
        """
        with self._lock:
            if self.held + size <= self.limit or size * _LITTLE <= self.limit:
                return True
            return size <= self.limit and self._random.random() < _CHANCE

    def put(self, path: str, found: Held) -> None:
        """Hold what was read of a file, dropping others if need be."""
        if found.nbytes > self.limit:
            return
        with self._lock:
            self._forget(path)
            while self.held + found.nbytes > self.limit:
                self._forget(self._random.choice(tuple(self._files)))
            self._files[path] = found
            self.held += found.nbytes

    def forget(self, path: str) -> None:
        """Drop a file that is gone."""
        with self._lock:
            self._forget(path)

    def _forget(self, path: str) -> None:
        dropped = self._files.pop(path, None)
        if dropped is not None:
            self.held -= dropped.nbytes


KeyCache = FileCache[FileKeys]
