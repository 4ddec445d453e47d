"""A mirror set back to one of its snapshots, and its position with it; the stream then brings it to the source again.

What lies between is replayed from Kafka. The changelog stays as it is: each table takes of an epoch what lies above its
own position. The real-time tables wait until the mirror has come to where they are, and tell what differs from the
mirror's files. So afterwards all are what they would be, whatever was done to the mirror since that snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from catalog.errors import HistoryError, TableStoppedError
from catalog.positions import Position, PositionLostError, saved_position
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.tables.cdc import NEXT_GENERATION
from streaming.audit import Topic, TopicAudit
from streaming.iceberg import Lake
from streaming.opening import check_topic
from streaming.requests import finish, pending
from streaming.schemas import SourceSchemas

log = structlog.get_logger()


def serve_rollbacks(
    settings: Settings, lake: Lake, schemas: SourceSchemas, audit: TopicAudit, go_on: Callable[[str], None]
) -> None:
    """Do what commands asked for, while no query runs and no mirror is open; a table that had stopped goes on."""
    for request in pending(settings):
        if request.kind != "rollback" or request.snapshot is None:
            continue
        answer: dict[str, object] = {}
        try:
            source = next((table for table in schemas.read() if table.qualified == request.table), None)
            if source is None:
                raise HistoryError(f"{request.table} is not in the publication", remedy="lake status")
            name = source.topic(settings.topic_prefix)
            topic = audit.read([name]).get(name)
            if topic is None:
                raise TableStoppedError(request.table, "its topic is gone")
            answer["offsets"] = roll_back(lake, source, topic, request.snapshot)
        except (HistoryError, TableStoppedError) as refused:
            answer["error"] = str(refused)
        else:
            go_on(request.table)
        finish(settings, request, answer)


def roll_back(lake: Lake, source: SourceTable, topic: Topic, snapshot: int) -> int:
    """Set a mirror back to a snapshot of its main line; no query may run. Returns how many offsets are to be replayed.

    Raises HistoryError where the way from that snapshot to now is not known, TableStoppedError where Kafka lost it.
    """
    mirror = lake.table(source.mirror)
    if mirror.head(NEXT_GENERATION) is not None:
        raise HistoryError(f"{source.mirror} is being copied", remedy="wait for it: lake status")
    if not mirror.is_on_main_line(snapshot):
        remedy = f"lake history {source.mirror} lists those that are"
        raise HistoryError(f"snapshot {snapshot} is not in the history of {source.mirror}", remedy=remedy)
    position = _whole(source, mirror.position_at(snapshot), snapshot)
    check_topic(source.qualified, position, topic)
    try:
        changelog = lake.table(source.changelog).position()
    except PositionLostError as lost:
        raise HistoryError(f"{source.changelog}: {lost}", remedy=f"lake resync {source.qualified}") from lost
    if changelog is None or changelog.generation != position.generation:
        raise HistoryError(
            f"{source.mirror} was copied anew since snapshot {snapshot}: its changes do not lead from there to now",
            remedy=f"choose a later snapshot, or lake resync {source.qualified}",
        )
    mirror.set_back(snapshot, saved_position(position, snapshot))
    offsets = sum(at.next_offset - position.next_offset(number) for number, at in changelog.partitions.items())
    log.info("mirror set back", table=source.qualified, snapshot=snapshot, offsets_to_replay=offsets)
    return offsets


def _whole(source: SourceTable, position: Position | None, snapshot: int) -> Position:
    """The position at a snapshot at which no copy was under way."""
    if position is None:
        remedy = f"choose another, or lake resync {source.qualified}"
        raise HistoryError(f"snapshot {snapshot} of {source.mirror} has no position", remedy=remedy)
    copy = position.copy
    if copy is not None and (copy.until is None or position.next_offset(0) < copy.until):
        raise HistoryError(f"snapshot {snapshot} of {source.mirror} is amid a copy", remedy="choose a later one")
    return replace(position, copy=None)
