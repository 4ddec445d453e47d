"""Kafka records of one topic to change events; what cannot be read is rejected with its reason, never dropped.

The envelope is Debezium's, JSON without schemas: `op`, `before`, `after` and `source`
(https://debezium.io/documentation/reference/stable/connectors/postgresql.html, "Data change events").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from catalog.source import SourceTable
from catalog.tables.cdc import INSTANT
from streaming.values import PLACEHOLDER_FREE, BadValueError, Placeholders, to_arrow

OPERATIONS = frozenset("cudrt")
HAS_AFTER = frozenset("cur")


class UnknownColumnsError(Exception):
    """Events carry columns that the known source schema lacks: read the schema again."""

    def __init__(self, columns: set[str]) -> None:
        super().__init__(f"unknown columns {sorted(columns)}")
        self.columns = columns


@dataclass(frozen=True)
class Reject:
    """A record set aside: its row in the raw slice, and why."""

    row: int
    reason: str
    key_readable: bool = True


@dataclass
class Events:
    """Change events of one table in topic order, one entry per event in every field.

    `before` and `after` are tables in the source's columns, all null where an event has no such image; `placeholders`
    marks values of `after` that Debezium left out because an update did not touch them (TOAST).
    """

    op: list[str]
    partition: pa.Array
    offset: pa.Array
    previous_commit_lsn: pa.Array
    lsn: pa.Array
    transaction_id: pa.Array
    committed_at: pa.Array
    copy_marker: list[str]
    before: pa.Table
    after: pa.Table
    placeholders: Placeholders = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.op)

    def keys(self, names: tuple[str, ...]) -> pa.Table:
        """Key columns: from the new image where there is one, else from the old."""
        gone = pa.array([op == "d" for op in self.op], pa.bool_())
        columns = [pc.if_else(gone, self.before[name], self.after[name]) for name in names]
        return pa.table(columns, names=list(names))

    def slice(self, start: int, length: int | None = None) -> Events:
        """Events from `start` on."""
        end = len(self) if length is None else start + length
        if start == 0 and end == len(self):
            return self
        return self.take(range(start, end))

    def take(self, places: Sequence[int]) -> Events:
        """The events at these places."""
        chosen = pa.array(places, pa.int64())
        arrays = {name: getattr(self, name).take(chosen) for name in _ARRAYS}
        return Events(
            op=[self.op[place] for place in places],
            copy_marker=[self.copy_marker[place] for place in places],
            before=self.before.take(chosen),
            after=self.after.take(chosen),
            placeholders={name: mask[np.asarray(places, np.int64)] for name, mask in self.placeholders.items()},
            **arrays,
        )


_ARRAYS = ("partition", "offset", "previous_commit_lsn", "lsn", "transaction_id", "committed_at")


@dataclass
class Decoded:
    """A slice of one topic, read: `records = len(events) + len(rejects) + tombstones`."""

    events: Events
    rejects: list[Reject]
    tombstones: int


_SOURCE = itemgetter("lsn", "txId", "ts_us", "sequence", "snapshot")


@dataclass
class _Rows:
    """What the loop over records gathers, before it becomes columns."""

    row: list[int] = field(default_factory=list)
    op: list[str] = field(default_factory=list)
    source: list[tuple[Any, ...]] = field(default_factory=list)
    before: list[tuple[Any, ...] | None] = field(default_factory=list)
    after: list[tuple[Any, ...] | None] = field(default_factory=list)


def decode(records: pa.Table, source: SourceTable, *, ignored: frozenset[str] = frozenset()) -> Decoded:
    """Read a slice of one topic: columns `partition`, `offset`, `key`, `value`, in topic order.

    `ignored` names columns that events may carry and the table does not hold. Raises UnknownColumnsError.
    """
    reader = _Reader(source, ignored)
    rows, rejects, tombstones = _Rows(), [], 0
    keys, values = records["key"].to_pylist(), records["value"].to_pylist()
    for row, (key, value) in enumerate(zip(keys, values, strict=True)):
        if value is None:
            tombstones += 1
            continue
        try:
            reader.read(row, key, value, rows)
        except _Unreadable as unreadable:
            rejects.append(Reject(row, str(unreadable), unreadable.key_readable))
    if reader.unknown:
        raise UnknownColumnsError(reader.unknown)
    return _columns(records, rows, rejects, tombstones, source)


class _Unreadable(Exception):
    def __init__(self, reason: str, *, key_readable: bool = True) -> None:
        super().__init__(reason)
        self.key_readable = key_readable


class _Reader:
    """Reads envelopes of one table into rows of `_Rows`."""

    def __init__(self, source: SourceTable, ignored: frozenset[str]) -> None:
        self.source = source
        self.names = [column.name for column in source.columns]
        self.ignored = ignored
        self.unknown: set[str] = set()
        self._get: Callable[[dict[str, Any]], tuple[Any, ...]] = (
            itemgetter(*self.names) if len(self.names) > 1 else lambda image: (image[self.names[0]],)
        )
        self._key_places = [self.names.index(name) for name in source.key]

    def read(self, row: int, key: bytes | None, value: bytes, rows: _Rows) -> None:
        try:
            envelope = orjson.loads(value)
        except orjson.JSONDecodeError as malformed:
            raise _Unreadable(f"malformed JSON: {malformed}", key_readable=key is not None) from malformed
        try:
            op, source = envelope["op"], envelope["source"]
            place = (source["schema"], source["table"])
            facts = _SOURCE(source)
        except (KeyError, TypeError) as missing:
            raise _Unreadable(f"not a Debezium envelope: {missing} is missing") from missing
        if place != (self.source.schema, self.source.name):
            raise _Unreadable(f"a record of table {'.'.join(map(str, place))} in the topic of {self.source.qualified}")
        if op not in OPERATIONS:
            raise _Unreadable(f"unknown operation {op!r}")
        if key is None and op != "t":
            raise _Unreadable("missing key", key_readable=False)
        before, after = self._image(envelope.get("before")), self._image(envelope.get("after"))
        self._check_key(op, before, after)
        rows.row.append(row)
        rows.op.append(op)
        rows.source.append(facts)
        rows.before.append(before if op in "ud" else None)
        rows.after.append(after if op in HAS_AFTER else None)

    def _image(self, image: dict[str, Any] | None) -> tuple[Any, ...] | None:
        if image is None:
            return None
        try:
            if len(image) == len(self.names):
                return self._get(image)
        except KeyError:
            pass
        except TypeError as other:
            raise _Unreadable(f"a row image that is not an object: {other}") from other
        self.unknown |= image.keys() - set(self.names) - self.ignored
        return tuple(map(image.get, self.names))

    def _check_key(self, op: str, before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> None:
        if op == "t":
            return
        image = after if op in HAS_AFTER else before
        if image is None:
            raise _Unreadable(f"operation {op} without its {'new' if op in HAS_AFTER else 'old'} row")
        if any(image[place] is None for place in self._key_places):
            raise _Unreadable("missing key column in the row", key_readable=False)


def _columns(records: pa.Table, rows: _Rows, rejects: list[Reject], tombstones: int, source: SourceTable) -> Decoded:
    """Rows to columns; a value that does not fit its type rejects its record, and the rest is done again."""
    while True:
        try:
            before, _ = _image_table(rows.before, source)
            after, placeholders = _image_table(rows.after, source)
            break
        except BadValueError as bad:
            rejects.append(Reject(rows.row[bad.row], bad.reason, bad.column not in source.key))
            for values in (rows.row, rows.op, rows.source, rows.before, rows.after):
                del values[bad.row]
    if not source.full_identity:
        before = _only_key(before, source)
    facts = list(zip(*rows.source, strict=True)) or [()] * 5
    kept = records.select(["partition", "offset"]).take(pa.array(rows.row, pa.int64())).combine_chunks()
    events = Events(
        op=rows.op,
        partition=_array(kept["partition"]),
        offset=_array(kept["offset"]),
        previous_commit_lsn=pa.array([_previous_commit(text) for text in facts[3]], pa.int64()),
        lsn=pa.array(facts[0], pa.int64()),
        transaction_id=pa.array(facts[1], pa.int64()),
        committed_at=pa.array(facts[2], pa.int64()).cast(INSTANT),
        copy_marker=[str(marker) for marker in facts[4]],
        before=before,
        after=after,
        placeholders=placeholders,
    )
    rejects.sort(key=lambda reject: reject.row)
    return Decoded(events, rejects, tombstones)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _image_table(images: list[tuple[Any, ...] | None], source: SourceTable) -> tuple[pa.Table, Placeholders]:
    empty = (None,) * len(source.columns)
    transposed = list(zip(*[empty if image is None else image for image in images], strict=True))
    if not transposed:
        transposed = [()] * len(source.columns)
    arrays, placeholders = [], {}
    for column, values in zip(source.columns, transposed, strict=True):
        array, unchanged = to_arrow(list(values), column.name, column.type)
        arrays.append(array)
        if unchanged is not PLACEHOLDER_FREE:
            placeholders[column.name] = unchanged
    return pa.table(arrays, names=[column.name for column in source.columns]), placeholders


def _only_key(before: pa.Table, source: SourceTable) -> pa.Table:
    """Without full identity Debezium invents the old row's other columns (zeros, epochs): they become null."""
    columns = [
        before[name] if name in source.key else pa.nulls(len(before), before.schema.field(name).type)
        for name in before.column_names
    ]
    return pa.table(columns, names=before.column_names)


def _previous_commit(sequence: str | None) -> int | None:
    """`source.sequence` is the text `["<LSN of the previous commit>","<LSN>"]`; the first is null in a copy."""
    if not sequence:
        return None
    first = orjson.loads(sequence)[0]
    return None if first is None else int(first)
