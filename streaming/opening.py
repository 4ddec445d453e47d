"""Opening a source table: its two tables, where they stand, and whether its topic still is the one they count in."""

from __future__ import annotations

from concurrent.futures import Executor

from catalog.errors import TableStoppedError
from catalog.positions import Position, PositionLostError
from catalog.source import SourceTable
from catalog.tables.cdc import SOURCE_PROPERTY
from streaming.audit import Topic
from streaming.changelog import Changelog
from streaming.files import KeyCache
from streaming.history_views import keep_history_view
from streaming.iceberg import Lake
from streaming.mirror import Mirror
from streaming.quarantine import Quarantine
from streaming.schemas import SourceSchemas
from streaming.table import TableStream
from streaming.tasks import Tasks


class Opener:
    """Opens tables for one run of the streaming query."""

    def __init__(self, lake: Lake, schemas: SourceSchemas, cache: KeyCache, pool: Executor, tasks: Tasks) -> None:
        self._lake, self._schemas, self._cache, self._pool, self._tasks = lake, schemas, cache, pool, tasks

    def open(self, source: SourceTable, topic: Topic | None, quarantine: Quarantine) -> TableStream | None:
        """Load changelog and mirror and compare them with the topic; None while there is neither topic nor position.

        Raises TableStoppedError.
        """
        self._schemas.create(source)
        table = self._lake.table(source.mirror)
        persisted = table.property(SOURCE_PROPERTY)
        known = SourceTable.from_json(persisted) if persisted else source
        mirror = Mirror(table, known, self._cache, self._pool, self._tasks)
        changelog = Changelog(self._lake.table(source.changelog))
        for writer in (changelog, mirror):
            try:
                writer.load()
            except PositionLostError as lost:
                back = f"lake rollback {source.mirror} SNAPSHOT, the last that lake history shows with an offset; or "
                raise TableStoppedError(
                    source.qualified,
                    f"{writer.table.identifier}: {lost}",
                    remedy=f"{back if writer is mirror else ''}lake resync {source.qualified}",
                ) from lost
            if topic is None:
                if writer.position is None:
                    return None
                raise TableStoppedError(source.qualified, "its topic is gone")
            if writer.position is None:
                writer.position = Position(topic.topic_id)
            check_topic(source.qualified, writer.position, topic)
        assert topic is not None
        stream = TableStream(known, topic.name, topic.topic_id, changelog, mirror, quarantine, self._schemas)
        if known != source.following(known):  # it changed while nobody looked
            stream.follow_schema()
        keep_history_view(self._lake, mirror.table, stream.source)
        stream.finish_resync()
        stream.count_quarantined()
        return stream


def check_topic(table: str, position: Position | None, topic: Topic) -> None:
    """Refuse a topic that was created again, lost records or got partitions. Raises TableStoppedError."""
    position = position or Position(topic.topic_id)
    if position.topic_id != topic.topic_id:
        raise TableStoppedError(
            table,
            f"topic {topic.name} was created again: the table counts in {position.topic_id}, now it is "
            f"{topic.topic_id}",
        )
    known = set(position.partitions)
    if known and set(topic.earliest) != known:
        raise TableStoppedError(
            table,
            f"topic {topic.name} has {len(topic.earliest)} partitions, the table knows {len(known)}",
            remedy="one partition keeps the order: delete the topic, run scripts/setup-connectors.sh, then lake resync",
        )
    for partition, earliest in topic.earliest.items():
        at = position.next_offset(partition)
        if earliest > at:
            raise TableStoppedError(
                table,
                f"topic {topic.name} lost records: partition {partition} begins at {earliest}, the table is at {at}",
            )
