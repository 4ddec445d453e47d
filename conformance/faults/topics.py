"""Topics that are not what they were: their table stops, says why, and names what mends it."""

from __future__ import annotations

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from catalog.access import kafka_client
from catalog.source import SourceTable
from conformance.faults.fault import Fault, Ground
from connectors.inspection import partitions
from connectors.topics import delete_topic, ensure_topics
from stack.supervision import Supervisor


def _admin(ground: Ground) -> AdminClient:
    return AdminClient({**kafka_client(ground.settings), "log_level": 0})


def _topic(ground: Ground, table: SourceTable) -> str:
    return table.topic(ground.settings.topic_prefix)


def _recreate(ground: Ground) -> SourceTable:
    table = ground.table()
    _delete(ground, table)
    ensure_topics(ground.settings)
    return table


def _shorten(ground: Ground) -> SourceTable:
    """Records that the stream has not read: it is away while they come and go."""
    table, supervisor = ground.table(), Supervisor(ground.settings)
    topic = _topic(ground, table)
    supervisor.stop_program("stream")
    try:
        position = int(ground.told(table).get("position", {}).get("0", 0))
        end = ground.until(lambda: _end(ground, topic, position), "records came that the stream has not read")
        place = TopicPartition(topic, 0, end)
        admin = _admin(ground)  # its answers are lost with it
        admin.delete_records([place])[place].result(30)
    finally:
        supervisor.start_program("stream")
    return table


def _end(ground: Ground, topic: str, beyond: int) -> int | None:
    end = partitions(ground.settings, topic)[0].end
    return end if end > beyond + 100 else None  # the last position told may be some seconds old


def _spread(ground: Ground) -> SourceTable:
    table, admin = ground.table(), _admin(ground)
    topic = _topic(ground, table)
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    return table


def _gather(ground: Ground, table: SourceTable) -> None:
    """What the status says: the topic anew, the connector's set-up, then a resync."""
    _delete(ground, table)
    ground.lake("connect")
    ground.lake("resync", table.qualified)


def _delete(ground: Ground, table: SourceTable) -> None:
    topic, admin = _topic(ground, table), _admin(ground)
    delete_topic(ground.settings, topic)
    ground.until(lambda: topic not in admin.list_topics(timeout=10).topics, "the topic is gone")


FAULTS = (
    Fault("topic recreated", "a topic is deleted and made again", _recreate, told="was created again", loses=True),
    Fault("segments removed", "records are deleted before the stream read them", _shorten, told="lost records",
          loses=True),
    Fault("partitions added", "a topic gets a second partition", _spread, _gather, told="has 2 partitions", loses=True),
)  # fmt: skip
