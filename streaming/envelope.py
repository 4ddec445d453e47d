"""Kafka records of one topic to change events; what cannot be read is rejected with its reason, never dropped.

The envelope is Debezium's, JSON without schemas: `op`, `before`, `after` and `source`
(https://debezium.io/documentation/reference/stable/connectors/postgresql.html, "Data change events").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.source import SourceTable
from catalog.tables.cdc import INSTANT
from streaming.reading import Reader, Rows, UnreadableError
from streaming.values import PLACEHOLDER_FREE, BadValuesError, Placeholders, to_arrow


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
    transaction_id: int | None = None


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


def decode(records: pa.Table, source: SourceTable, *, ignored: frozenset[str] = frozenset()) -> Decoded:
    """Read a slice of one topic: columns `partition`, `offset`, `key`, `value`, in topic order.

    `ignored` names columns that events may carry and the table does not hold. Raises UnknownColumnsError.
    """
    reader = Reader(source, ignored)
    rows, rejects, tombstones = Rows(), [], 0
    keys, values = records["key"].to_pylist(), records["value"].to_pylist()
    for row, (key, value) in enumerate(zip(keys, values, strict=True)):
        if value is None:
            tombstones += 1
            continue
        try:
            reader.read(row, key, value, rows)
        except UnreadableError as unreadable:
            rejects.append(Reject(row, str(unreadable), unreadable.key_readable))
    if reader.unknown:
        raise UnknownColumnsError(reader.unknown)
    return _columns(records, rows, rejects, tombstones, source)


def _columns(records: pa.Table, rows: Rows, rejects: list[Reject], tombstones: int, source: SourceTable) -> Decoded:
    """Rows to columns; a value that does not fit its type rejects its record, and the rest is done again."""
    while True:
        try:
            before, _ = _image_table(rows.before, source)
            after, placeholders = _image_table(rows.after, source)
            facts = _facts(rows.source)
            break
        except BadValuesError as bad:
            key_readable = bad.column not in source.key
            for row, reason in bad.reasons.items():
                transaction_id = rows.source[row][1]
                known = transaction_id if isinstance(transaction_id, int) else None
                rejects.append(Reject(rows.row[row], reason, key_readable, known))
            rows = rows.without(bad.reasons)
    if not source.full_identity:
        before = _only_key(before, source)
    kept = records.select(["partition", "offset"]).take(pa.array(rows.row, pa.int64())).combine_chunks()
    events = Events(
        op=rows.op,
        partition=_array(kept["partition"]),
        offset=_array(kept["offset"]),
        previous_commit_lsn=facts[3],
        lsn=facts[0],
        transaction_id=facts[1],
        committed_at=facts[2].cast(INSTANT),
        copy_marker=[source[4] for source in rows.source],
        before=before,
        after=after,
        placeholders=placeholders,
    )
    rejects.sort(key=lambda reject: reject.row)
    return Decoded(events, rejects, tombstones)


_FACT_ERRORS = (pa.ArrowException, ValueError, TypeError, LookupError, AttributeError, OverflowError)


def _facts(sources: list[tuple[Any, ...]]) -> list[pa.Array]:
    """LSN, transaction, time of commit and previous commit's LSN, as whole numbers. Raises BadValuesError."""
    try:
        return _fact_columns(sources)
    except _FACT_ERRORS:
        pass
    reasons = {}
    for row, source in enumerate(sources):
        try:
            _fact_columns([source])
        except _FACT_ERRORS as failed:
            reasons[row] = f"not a Debezium envelope: lsn, txId, ts_us and sequence are {source[:4]} ({failed})"
    raise BadValuesError("", reasons)


def _fact_columns(sources: list[tuple[Any, ...]]) -> list[pa.Array]:
    lsn, transaction, at, sequence, _ = list(zip(*sources, strict=True)) or [()] * 5
    if None in at:
        raise ValueError("ts_us is missing")
    return [pa.array(values, pa.int64()) for values in (lsn, transaction, at, [_previous_commit(s) for s in sequence])]


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _image_table(images: list[tuple[Any, ...] | None], source: SourceTable) -> tuple[pa.Table, Placeholders]:
    """Images as columns, null where there is none; only those that are there are converted."""
    present = [place for place, image in enumerate(images) if image is not None]
    try:
        table, placeholders = _converted([image for image in images if image is not None], source)
    except BadValuesError as bad:
        raise BadValuesError(bad.column, {present[row]: reason for row, reason in bad.reasons.items()}) from bad
    if len(present) == len(images):
        return table, placeholders
    places = np.full(len(images), -1, dtype=np.int64)
    places[present] = np.arange(len(present))
    marks = {name: np.where(places < 0, False, mask[places]) for name, mask in placeholders.items()}
    return table.take(pa.array(places, mask=places < 0)), marks


def _converted(images: list[tuple[Any, ...]], source: SourceTable) -> tuple[pa.Table, Placeholders]:
    transposed = list(zip(*images, strict=True)) or [()] * len(source.columns)
    arrays, placeholders = [], {}
    for column, values in zip(source.columns, transposed, strict=True):
        array, unchanged = to_arrow(list(values), column.name, column.type, column.sign)
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
    if not sequence or sequence.startswith("[null"):
        return None
    return int(sequence[2 : sequence.index('"', 2)])
