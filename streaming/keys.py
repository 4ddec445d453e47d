"""Keys as sortable numbers, and where in a data file each key's row is.

One integer column is its own number. Any other key (text, uuid, several columns) is the 128-bit BLAKE2b digest of its
canonical bytes, kept as two 64-bit halves: the first is searched, the second confirms. Two different keys of a table
of 10^9 rows share a digest with a probability below 10^-20, and no key can be made to collide on purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class KeyNumbers:
    """`first` holds 64-bit numbers; `second` the other digest halves, or None where `first` is exact."""

    first: np.ndarray
    second: np.ndarray | None

    def __len__(self) -> int:
        return int(self.first.size)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.first.nbytes + (self.second.nbytes if self.second is not None else 0))

    def take(self, places: np.ndarray) -> KeyNumbers:
        """The keys at these places."""
        return KeyNumbers(self.first[places], None if self.second is None else self.second[places])

    def order(self) -> np.ndarray:
        """Places in key order; equal keys stay in their order."""
        if self.second is None:
            return np.argsort(self.first, kind="stable")
        return np.lexsort((self.second, self.first))

    def starts(self) -> np.ndarray:
        """For keys in key order: True where a key differs from the one before."""
        new = np.ones(len(self), dtype=bool)
        if len(self) > 1:
            new[1:] = self.first[1:] != self.first[:-1]
            if self.second is not None:
                new[1:] |= self.second[1:] != self.second[:-1]
        return new


def bytes_of_a_row(rows: pa.Schema, key: Sequence[str]) -> int:
    """Memory that a row's key takes: the number that is searched, or both halves of a digest and the row's place."""
    exact = len(key) == 1 and pa.types.is_integer(rows.field(key[0]).type)
    return 8 if exact else 20


def key_numbers(keys: pa.Table) -> KeyNumbers:
    """Numbers of the rows of a table of key columns; no key column may be null."""
    columns = [column.combine_chunks() for column in keys.columns]
    if len(columns) == 1 and pa.types.is_integer(columns[0].type):
        return KeyNumbers(columns[0].to_numpy(zero_copy_only=False).astype(np.int64, copy=False), None)
    texts = [_canonical(column) for column in columns]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*[_framed(text) for text in texts], b"")
    digests = b"".join(hashlib.blake2b(value, digest_size=16).digest() for value in joined.to_pylist())
    halves = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)
    return KeyNumbers(np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text or bytes; what is read of Iceberg files has large offsets, what Kafka brings has not."""
    types = pa.types
    return any(
        is_one(kind) for is_one in (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)
    )


def _canonical(column: pa.Array) -> pa.Array:
    if is_text(column.type):
        return column.cast(pa.binary())
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64()).cast(pa.string()).cast(pa.binary())
    return column.cast(pa.string()).cast(pa.binary())


def _framed(texts: pa.Array) -> pa.Array:
    """Each part behind its length, so that (`ab`, `c`) and (`a`, `bc`) differ."""
    lengths = pc.binary_length(texts).cast(pa.string()).cast(pa.binary())
    return pc.binary_join_element_wise(lengths, texts, b":")


@dataclass(frozen=True)
class FileKeys:
    """The keys of one data file in key order, and each one's row in the file (None: the file is in key order).

    `unique` says that no two of the searched numbers are equal.
    """

    keys: KeyNumbers
    rows: np.ndarray | None
    unique: bool

    @classmethod
    def of(cls, keys: KeyNumbers) -> FileKeys:
        """Index the keys of a file, given in row order."""
        if keys.second is None and bool(np.all(keys.first[1:] > keys.first[:-1])):
            return cls(keys, None, unique=True)
        order = keys.order()
        ordered = keys.take(order)
        unique = bool(np.all(ordered.first[1:] > ordered.first[:-1]))
        return cls(ordered, order.astype(np.uint32), unique)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.keys.nbytes + (int(self.rows.nbytes) if self.rows is not None else 0)

    def find(self, wanted: KeyNumbers) -> tuple[np.ndarray, np.ndarray]:
        """Rows that hold a wanted key (uint32) and, for each, the place of that key in `wanted`."""
        held = self.keys.first
        if held.size == 0:
            return np.zeros(0, np.uint32), np.zeros(0, np.int64)
        near = np.flatnonzero((wanted.first >= held[0]) & (wanted.first <= held[-1]))
        at = np.searchsorted(held, wanted.first[near], "left")
        hit = held[at] == wanted.first[near]
        at, places = at[hit], near[hit]
        if not self.unique:
            at, places = _with_equals(held, at, places)
        if self.keys.second is not None and wanted.second is not None:
            same = self.keys.second[at] == wanted.second[places]
            at, places = at[same], places[same]
        return (at.astype(np.uint32) if self.rows is None else self.rows[at]), places


@dataclass(frozen=True)
class WantedKeys:
    """Keys that are looked for: as they are, for a file that is read once, and as numbers, for files that are held."""

    rows: pa.Table
    numbers: KeyNumbers

    def __len__(self) -> int:
        return len(self.numbers)

    def rows_in(self, keys: pa.Table) -> np.ndarray:
        """Rows (uint32) of a file's key columns that hold a wanted key.

        A text is compared as it is: to number a file's texts takes twenty times as long as to find a few in it.
        """
        kind = self.rows.schema.field(0).type
        if keys.num_columns > 1 or not is_text(kind):
            return FileKeys.of(key_numbers(keys)).find(self.numbers)[0]
        held = keys.column(0).cast(kind)
        if len(held) < len(self):  # Arrow would hash all wanted keys again for each small file
            hit = np.fromiter((key in self._texts for key in held.to_pylist()), dtype=bool, count=len(held))
        else:
            hit = pc.is_in(held, value_set=self.rows.column(0).combine_chunks()).to_numpy(zero_copy_only=False)
        return np.flatnonzero(hit).astype(np.uint32)

    @cached_property
    def _texts(self) -> frozenset[Any]:
        return frozenset(self.rows.column(0).to_pylist())


def _with_equals(held: np.ndarray, at: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each hit once for every equal number held."""
    counts = np.searchsorted(held, held[at], "right") - at
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(at, counts) + within, np.repeat(places, counts)
