"""One source table's way through an epoch.

1. Records that the changelog or the mirror still lacks are decoded; a changed source schema is followed first.
2. What cannot be read goes to the quarantine, committed before anything passes it.
3. Changelog and mirror are committed, side by side, each with the position it is brought to.

A crash after any step leaves each of the tables at a position of its own, and the replay gives to each exactly what
it lacks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from catalog.errors import TableStoppedError
from catalog.positions import Copy, GapError, OffsetRange, PartitionPosition, Position
from catalog.source import SourceTable
from catalog.visibility import PostgresSnapshot
from streaming.changelog import Changelog
from streaming.delays import Delays
from streaming.envelope import Decoded, Events, Reject, UnknownColumnsError, decode
from streaming.mirror import Mirror
from streaming.quarantine import Quarantine, Rejected
from streaming.schemas import SourceSchemas
from streaming.segments import segments
from streaming.writer import TableWriter

log = structlog.get_logger()


@dataclass
class Progress:
    """What `lake status` shows of a table."""

    events: int = 0
    epochs: int = 0
    delays: Delays = field(default_factory=Delays)
    quarantined: int = 0
    unverifiable: int = 0
    last_commit_at: datetime | None = None
    newest_change_at: datetime | None = None
    last_epoch_seconds: float = 0.0


@dataclass
class TableStream:
    """A source table's changelog and mirror. `topic_id` is the topic that their positions count in."""

    source: SourceTable
    topic: str
    topic_id: str
    changelog: Changelog
    mirror: Mirror
    quarantine: Quarantine
    schemas: SourceSchemas
    progress: Progress = field(default_factory=Progress)
    _ignored: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """`schema.table`."""
        return self.source.qualified

    def lowest(self, partition: int) -> int:
        """The lowest next offset of changelog and mirror."""
        return min(_position(writer).next_offset(partition) for writer in (self.changelog, self.mirror))

    def apply(self, records: pa.Table, ranges: Sequence[OffsetRange], pool: Executor) -> int:
        """Apply a slice; `records` (partition, offset, key, value) all lie in `ranges`. Returns the events applied.

        Raises TableStoppedError, FencedError, ComponentError.
        """
        started = time.monotonic()
        lacking = self._lacking(ranges)
        if not lacking:
            return 0
        if lacking != list(ranges):
            records = _of_ranges(records, lacking)
        decoded = self._decode(records)
        self._set_aside(records, decoded.rejects, lacking)
        self._require_added(decoded.events)
        position = _position(self.changelog)
        _refuse_regression(_from_position(decoded.events, position), position, self.name)
        read = _read_up_to(records, decoded.rejects)
        jobs = [pool.submit(step, decoded.events, ranges, read) for step in (self._append, self._mirror)]
        for failure in [job.exception() for job in jobs]:
            if failure is not None:
                raise failure
        self.progress.events += len(decoded.events)
        if len(decoded.events):
            self.progress.last_commit_at = now = datetime.now(UTC)
            self.progress.epochs += 1
            self.progress.delays.add(decoded.events.op, decoded.events.committed_at, now.timestamp())
            self.progress.newest_change_at = decoded.events.committed_at[len(decoded.events) - 1].as_py()
            self.progress.last_epoch_seconds = time.monotonic() - started
        return len(decoded.events)

    def _lacking(self, ranges: Sequence[OffsetRange]) -> list[OffsetRange]:
        try:
            lacking = [offsets.unapplied(self.lowest(offsets.partition)) for offsets in ranges]
        except GapError as gap:
            raise GapError(f"{self.name}: {gap}") from gap
        return [offsets for offsets in lacking if offsets is not None]

    def _decode(self, records: pa.Table) -> Decoded:
        try:
            decoded = decode(records, self.source, ignored=self._ignored)
        except UnknownColumnsError as unknown:
            self.follow_schema()
            # What Postgres does not know either came and went while the events were under way.
            self._ignored |= unknown.columns - {column.name for column in self.source.columns}
            return decode(records, self.source, ignored=self._ignored)
        if decoded.rejects and self.follow_schema():
            return decode(records, self.source, ignored=self._ignored)
        return decoded

    def follow_schema(self) -> bool:
        """Bring the tables to the source's present schema; False when it is the known one."""
        changed = self.schemas.follow(self.source, self.changelog.table, self.mirror.table)
        if changed is None:
            return False
        # Events from before a column was dropped may still come.
        self._ignored |= {c.name for c in self.source.columns} - {c.name for c in changed.columns}
        self.source = self.mirror.source = changed
        for writer in (self.changelog, self.mirror):
            writer.catch_up()
        return True

    def _require_added(self, events: Events) -> None:
        """Without a key no row can be found again. Raises TableStoppedError."""
        changes = [place for place, op in enumerate(events.op) if op in "ud"]
        if self.source.key or not changes:
            return
        unseen = events.take(changes).take(np.flatnonzero(~_seen(events.take(changes), _resync(self.mirror))).tolist())
        if len(unseen):
            what, again = "updated" if unseen.op[0] == "u" else "deleted", f"lake resync {self.name} copies it anew"
            raise TableStoppedError(
                self.name,
                f"it joined append-only, and {len(unseen)} rows were changed: the first was {what} by transaction"
                f" {unseen.transaction_id[0].as_py()}",
                remedy=f"{again}; or lake remove {self.name} --drop, ALTER TABLE … ADD PRIMARY KEY (…), lake add it",
            )

    def _set_aside(self, records: pa.Table, rejects: Sequence[Reject], ranges: Sequence[OffsetRange]) -> None:
        resync = _resync(self.mirror)
        if resync is not None and resync.visible is not None:
            snapshot = PostgresSnapshot.parse(resync.visible)
            rejects = [r for r in rejects if r.transaction_id is None or not snapshot.sees(r.transaction_id)]
        if not rejects:
            return
        ends = {offsets.partition: offsets.end for offsets in ranges}
        count = self.quarantine.append(Rejected(self.topic, self.topic_id, records, rejects, ends))
        self.progress.quarantined += count
        self.progress.unverifiable += sum(not reject.key_readable for reject in rejects)
        if count:
            log.warning("records set aside", table=self.name, count=count, first=rejects[0].reason)

    def count_quarantined(self) -> None:
        """Take what lies in the quarantine into the progress."""
        self.progress.quarantined, self.progress.unverifiable = self.quarantine.held(self.topic)

    def _append(self, events: Events, ranges: Sequence[OffsetRange], read: dict[int, int]) -> None:
        position = _position(self.changelog)
        mine = _from_position(events, position)
        for segment in segments(mine, _initial_copy(self.changelog)):
            at = _position(self.changelog)
            if segment.begins:
                at = replace(at, generation=at.generation + 1, generation_start=_first_offset(segment.events))
            under_way = _resync(self.changelog) if segment.copy is None else segment.copy
            end = at.moved(_ends_of(segment.events), copy=None if segment.ends else under_way)
            self.changelog.append(segment.events, end, self.source, _seen(segment.events, _resync(self.changelog)))
        self._arrive(self.changelog, ranges, read)
        resync = _resync(self.changelog)
        if resync is not None and _position(self.changelog).next_offset(0) >= (resync.until or 0):
            self.changelog.position = replace(_position(self.changelog), copy=None)

    def _mirror(self, events: Events, ranges: Sequence[OffsetRange], read: dict[int, int]) -> None:
        mirror = self.mirror
        mine = _from_position(events, _position(mirror))
        for segment in segments(mine, _initial_copy(mirror)):
            end = _position(mirror).moved(_ends_of(segment.events))
            if segment.copy is None:
                if _initial_copy(mirror):
                    mirror.finish_copy()
                    end = _position(mirror).moved(_ends_of(segment.events), copy=None)
                unseen = np.flatnonzero(~_seen(segment.events, _resync(mirror)))
                mirror.apply(segment.events.take(unseen.tolist()), end)
                continue
            if segment.begins:
                start = replace(_position(mirror), generation_start=_first_offset(segment.events))
                mirror.begin_copy(segment.copy, start)
            copy = None if segment.ends else segment.copy
            end = _position(mirror).moved(_ends_of(segment.events), copy=copy)
            mirror.append_copied(segment.events.after, end)
            if segment.ends:
                mirror.finish_copy()
        self._arrive(mirror, ranges, read)
        self.finish_resync()

    def _arrive(self, writer: TableWriter, ranges: Sequence[OffsetRange], read: dict[int, int]) -> None:
        """To the ranges' ends. A commit is due only for rejects behind the last event: tombstones and markers wait."""
        position = _position(writer)
        ends = {r.partition: PartitionPosition(max(r.end, position.next_offset(r.partition))) for r in ranges}
        arrived = position.moved(ends)
        if any(position.next_offset(partition) < offset for partition, offset in read.items()):
            writer.stand(arrived)
        else:
            writer.position = arrived

    def finish_resync(self) -> None:
        """Adopt a resynced generation once it has passed the offset at which it equals the source."""
        copy = _resync(self.mirror)
        if copy is None or _position(self.mirror).next_offset(0) < (copy.until or 0):
            return
        self.mirror.finish_copy()
        log.info("resync finished", table=self.name, rows=copy.rows)


def _position(writer: TableWriter) -> Position:
    if writer.position is None:
        raise TableStoppedError(writer.table.identifier, "it has no position: it was never opened by the stream")
    return writer.position


def _initial_copy(writer: TableWriter) -> Copy | None:
    copy = _position(writer).copy
    return copy if copy is not None and copy.until is None else None


def _resync(writer: TableWriter) -> Copy | None:
    copy = _position(writer).copy
    return copy if copy is not None and copy.until is not None else None


def _seen(events: Events, resync: Copy | None) -> np.ndarray:
    """Which events a resync's copied rows hold already: they count for the generation before."""
    if resync is None or resync.until is None or resync.visible is None:
        return np.zeros(len(events), dtype=bool)
    snapshot, before = PostgresSnapshot.parse(resync.visible), events.offset.to_numpy() < resync.until
    seen = [xid is not None and snapshot.sees(xid) for xid in events.transaction_id.to_pylist()]
    return before & np.array(seen, dtype=bool)


def _read_up_to(records: pa.Table, rejects: Sequence[Reject]) -> dict[int, int]:
    """By partition, the offset after the last reject."""
    ends: dict[int, int] = {}
    for reject in rejects:
        ends[records["partition"][reject.row].as_py()] = records["offset"][reject.row].as_py() + 1
    return ends


def _first_offset(events: Events) -> int:
    first: int = events.offset[0].as_py()
    return first


def _of_ranges(records: pa.Table, ranges: Sequence[OffsetRange]) -> pa.Table:
    keep = pa.array(np.zeros(len(records), dtype=bool))
    for offsets in ranges:
        inside = pc.and_(
            pc.equal(records["partition"], offsets.partition),
            pc.and_(pc.greater_equal(records["offset"], offsets.start), pc.less(records["offset"], offsets.end)),
        )
        keep = pc.or_(keep, inside)
    return records.filter(keep)


def _from_position(events: Events, position: Position) -> Events:
    """Events at or above the position; in one partition that is a tail."""
    partitions = pc.unique(events.partition).to_pylist()
    if len(partitions) <= 1:
        start = position.next_offset(partitions[0]) if partitions else 0
        return events.slice(int(np.searchsorted(events.offset.to_numpy(), start, "left")))
    places = zip(events.partition.to_pylist(), events.offset.to_pylist(), strict=True)
    keep = [place for place, (partition, offset) in enumerate(places) if offset >= position.next_offset(partition)]
    return events.take(keep)


def _ends_of(events: Events) -> dict[int, PartitionPosition]:
    """By partition, the offset after its last event, and the LSNs of its last streamed event."""
    ends: dict[int, PartitionPosition] = {}
    columns = (events.partition, events.offset, events.previous_commit_lsn, events.lsn)
    if len(pc.unique(events.partition)) == 1:
        rows = [tuple(column[len(events) - 1].as_py() for column in columns)]
    else:
        rows = list(zip(*(column.to_pylist() for column in columns), strict=True))
    for partition, offset, previous_commit_lsn, lsn in rows:
        ends[partition] = PartitionPosition(offset + 1, previous_commit_lsn, lsn)
    return ends


def _refuse_regression(events: Events, position: Position, table: str) -> None:
    """The previous commit's LSN never falls within a partition while exactly-once is on."""
    for partition in pc.unique(events.partition).to_pylist():
        known = position.partitions.get(partition)
        highest = known.previous_commit_lsn if known else None
        mine = events.previous_commit_lsn.filter(pc.equal(events.partition, partition)).drop_null().to_numpy()
        mine = mine if highest is None else np.concatenate([[highest], mine])
        if mine.size > 1 and bool((mine[1:] < mine[:-1]).any()):
            place = int(np.flatnonzero(mine[1:] < mine[:-1])[0])
            raise TableStoppedError(
                table,
                f"commit LSNs fall from {mine[place]} to {mine[place + 1]}: the slot or the database was replaced",
            )
