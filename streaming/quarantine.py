"""Records that could not be read, with their raw bytes and the reason; committed before anything passes them.

Its position holds one entry per topic. Only commits move it, and a commit covers the slice that it was made from, so a
record at or above a topic's entry is in the quarantine only if it was written since.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from catalog.positions import PartitionPosition, Position
from catalog.tables.cdc import QUARANTINE_SCHEMA
from streaming.envelope import Reject
from streaming.iceberg import IcebergTable
from streaming.shape import shaped
from streaming.writer import TableWriter


@dataclass(frozen=True)
class Rejected:
    """The rejects of one topic's slice, and the offsets that the slice ends at."""

    topic: str
    topic_id: str
    records: pa.Table
    rejects: Sequence[Reject]
    ends: dict[int, int]


def _partition_name(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"


class Quarantine(TableWriter):
    """One table for all topics. Its position numbers partitions by `places`, kept in the position's topic id.

    Tables append side by side, so that one append at a time reads the position and commits.
    """

    def __init__(self, table: IcebergTable) -> None:
        super().__init__(table)
        self._appending = threading.Lock()

    def load(self) -> None:
        """Read head and the topics' positions."""
        super().load()
        self._places = {} if self.position is None else _read_places(self.position.topic_id)

    def held(self, topic: str) -> tuple[int, int]:
        """Records of a topic that are set aside, and of how many the key is unknown."""
        count = unknown = 0
        for file in self.table.live_files(None):
            part = self.table.lake.store.read_parquet(file.path, ["topic", "key_readable"])
            mine = part.filter(pc.equal(part["topic"], topic))["key_readable"]
            count += len(mine)
            unknown += len(mine) - (pc.sum(mine).as_py() or 0)
        return count, unknown

    def next_offset(self, topic: str, topic_id: str, partition: int) -> int:
        """Records of this topic below it have been looked at."""
        place = self._places.get(_partition_name(f"{topic}@{topic_id}", partition))
        return 0 if place is None or self.position is None else self.position.next_offset(place)

    def append(self, rejected: Rejected) -> int:
        """Commit the slice's rejects that were not yet; returns how many."""
        with self._appending:
            return self._append(rejected)

    def _append(self, rejected: Rejected) -> int:
        fresh = [reject for reject in rejected.rejects if self._is_fresh(rejected, reject)]
        if not fresh:
            return 0
        position = self._moved(rejected)
        file = self.table.lake.store.write_parquet(self.table.data_location, self._rows(rejected, fresh))
        day = f"at_day={datetime.now(UTC):%Y-%m-%d}"
        added = [self.table.data_file(file, day)]
        self.land(lambda: self.table.row_delta(position, self.head, added=added), position)
        return len(fresh)

    def _is_fresh(self, rejected: Rejected, reject: Reject) -> bool:
        partition = rejected.records["partition"][reject.row].as_py()
        offset = rejected.records["offset"][reject.row].as_py()
        return bool(offset >= self.next_offset(rejected.topic, rejected.topic_id, partition))

    def _rows(self, rejected: Rejected, fresh: Sequence[Reject]) -> pa.Table:
        records = rejected.records.take(pa.array([reject.row for reject in fresh], pa.int64()))
        now = datetime.now(UTC)
        columns = {
            "topic": pa.array([rejected.topic] * len(fresh), pa.string()),
            "topic_partition": records["partition"],
            "topic_offset": records["offset"],
            "key": records["key"],
            "value": records["value"],
            "reason": pa.array([reject.reason for reject in fresh], pa.string()),
            "key_readable": pa.array([reject.key_readable for reject in fresh], pa.bool_()),
            "at": pa.array([now] * len(fresh), QUARANTINE_SCHEMA.field("at").type),
        }
        return shaped(pa.table(columns), self.table.arrow_schema)

    def _moved(self, rejected: Rejected) -> Position:
        ends = {}
        for partition, end in rejected.ends.items():
            name = _partition_name(f"{rejected.topic}@{rejected.topic_id}", partition)
            ends[self._places.setdefault(name, len(self._places))] = PartitionPosition(end)
        start = self.position or Position("")
        return start.moved(ends, topic_id=" ".join(self._places))


def _read_places(names: str) -> dict[str, int]:
    return {name: place for place, name in enumerate(names.split(" ")) if name}
