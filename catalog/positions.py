"""A table's position: how far in its topic it has been brought. It is part of every commit of the stream.

Pure rules, no I/O. The position stands in a snapshot's summary; since expiry and compaction bury summaries, a table
property repeats it with the snapshot's id. It is valid only while nothing but `replace` snapshots (compactions, which
change no rows) follow that snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from catalog.errors import LakehouseError
from catalog.tables.cdc import POSITION_PROPERTY

REPLACE = "replace"


class PositionLostError(LakehouseError):
    """The table's rows were changed by something that carries no position."""


class GapError(LakehouseError):
    """Records between a table's position and the epoch's start would be skipped."""


@dataclass(frozen=True)
class PartitionPosition:
    """The next Kafka offset to apply, and the LSNs of the last streamed event before it."""

    next_offset: int
    previous_commit_lsn: int | None = None
    lsn: int | None = None


@dataclass(frozen=True)
class Copy:
    """A copy under way on the branch of the next generation.

    Debezium's initial copy: all its rows share the source's `lsn` and `transaction_id`; it ends with its last row.
    A resync: the rows were copied at once from the Postgres snapshot `visible` (`xmin:xmax:xip,…`); up to the offset
    `until` the topic holds events of transactions that it saw, which are passed over, and then the copy is whole.
    """

    lsn: int | None = None
    transaction_id: int | None = None
    rows: int = 0
    until: int | None = None
    visible: str | None = None


@dataclass(frozen=True)
class Position:
    """Where a table stands in its topic. `generation` counts its copies; the present one began at offset
    `generation_start` (what lies below is decided by the copied rows); `copy` is the one under way. A table that is
    made from a mirror has the mirror's position, and `made_from` is the mirror's snapshot.
    """

    topic_id: str
    partitions: Mapping[int, PartitionPosition] = field(default_factory=dict)
    generation: int = 0
    copy: Copy | None = None
    generation_start: int = 0
    made_from: int | None = None

    def to_json(self) -> str:
        """Compact JSON, partitions as `[next_offset, previous_commit_lsn, lsn]`."""
        parts = {str(p): [v.next_offset, v.previous_commit_lsn, v.lsn] for p, v in sorted(self.partitions.items())}
        fields: dict[str, Any] = {"topic_id": self.topic_id, "generation": self.generation, "partitions": parts}
        if self.generation_start:
            fields["generation_start"] = self.generation_start
        if self.copy:
            fields["copy"] = list(astuple(self.copy))
        if self.made_from is not None:
            fields["made_from"] = self.made_from
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Position:
        """Read the JSON form."""
        fields = json.loads(text)
        return cls(
            fields["topic_id"],
            {int(p): PartitionPosition(*v) for p, v in fields["partitions"].items()},
            fields["generation"],
            Copy(*fields["copy"]) if fields.get("copy") else None,
            fields.get("generation_start", 0),
            fields.get("made_from"),
        )

    def next_offset(self, partition: int) -> int:
        """The next offset to apply in a partition; 0 in one that was never read."""
        known = self.partitions.get(partition)
        return known.next_offset if known else 0

    @property
    def lsn(self) -> int | None:
        """The highest LSN applied."""
        return max((p.lsn for p in self.partitions.values() if p.lsn is not None), default=None)

    def moved(self, ends: Mapping[int, PartitionPosition], **changes: Any) -> Position:
        """The position after a range that ends there; LSNs that an end does not carry stay as they were."""
        merged = dict(self.partitions)
        for partition, end in ends.items():
            old = merged.get(partition, PartitionPosition(0))
            lsns = (end.previous_commit_lsn, end.lsn) if end.lsn is not None else (old.previous_commit_lsn, old.lsn)
            merged[partition] = PartitionPosition(end.next_offset, *lsns)
        return replace(self, partitions=merged, **changes)


@dataclass(frozen=True)
class OffsetRange:
    """Offsets of one partition from `start` (inclusive) to `end` (exclusive)."""

    partition: int
    start: int
    end: int

    def unapplied(self, at: int) -> OffsetRange | None:
        """What of the range a table lacks whose next offset is `at`; None when nothing. Raises GapError."""
        if self.start > at:
            raise GapError(f"partition {self.partition}: the epoch starts at {self.start}, the table is at {at}")
        return replace(self, start=at) if at < self.end else None


@dataclass(frozen=True)
class SnapshotEntry:
    """What of an Iceberg snapshot its position depends on."""

    snapshot_id: int
    parent_id: int | None
    operation: str | None
    summary: Mapping[str, str] = field(default_factory=dict)


def position_of(snapshots: Iterable[SnapshotEntry], head: int | None, properties: Mapping[str, str]) -> Position | None:
    """The position of the table whose current snapshot is `head`; None for a table that was never written.

    Raises PositionLostError when a snapshot that is not a `replace` lies above the last one with a position.
    """
    known = {entry.snapshot_id: entry for entry in snapshots}
    saved = json.loads(properties.get(POSITION_PROPERTY, "null"))
    at = head
    while at is not None:
        entry = known.get(at)
        if entry is not None and POSITION_PROPERTY in entry.summary:
            return Position.from_json(entry.summary[POSITION_PROPERTY])
        if saved is not None and saved["snapshot_id"] == at:
            return Position.from_json(saved["position"])
        if entry is None or entry.operation != REPLACE:
            raise PositionLostError(
                f"snapshot {at} ({entry.operation if entry else 'expired'}) carries no position: the table was rolled "
                "back or written by something other than the stream"
            )
        at = entry.parent_id
    return None


def saved_position(position: Position, snapshot_id: int) -> str:
    """The value of the table property that repeats a position."""
    return json.dumps({"snapshot_id": snapshot_id, "position": position.to_json()}, separators=(",", ":"))
