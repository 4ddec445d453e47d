"""The common point: one exported Postgres snapshot, and a barrier row that proves the topics hold all that it sees."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from catalog.access import kafka_client
from catalog.errors import ComponentError, SourceError, VerificationError
from catalog.history import lsn_number
from catalog.options import read_options
from catalog.pseudonyms import KEY_SETTING
from catalog.published import read_source_tables
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.visibility import PostgresSnapshot

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

BARRIER_ID = 2
"""The row of `heartbeat` that verification writes; the connector's own heartbeat is row 1."""
_WRITE = """
insert into public.heartbeat (id, at, nonce) values (%s, now(), %s)
on conflict (id) do update set at = excluded.at, nonce = excluded.nonce
"""
_FIRST_WINDOW = 64
SECONDS_PER_REQUEST = 15.0


@dataclass(frozen=True)
class SourcePoint:
    """The source as one exported snapshot shows it, as long as its connection is open.

    `refused` holds published tables that cannot be mirrored, by name, each with the reason.
    """

    connection: psycopg.Connection[Any]
    name: str
    visible: PostgresSnapshot
    lsn: int
    at: datetime
    tables: tuple[SourceTable, ...]
    refused: Mapping[str, SourceError]


@contextmanager
def source_point(settings: Settings) -> Iterator[SourcePoint]:
    """Export a REPEATABLE READ snapshot and keep it until the end of the block. Raises ComponentError, SourceError."""
    connection = connect(settings)
    with connection:
        # Before the snapshot: what was written between the two is then newer than the LSN, never older.
        before = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
        connection.rollback()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        row = connection.execute("select pg_export_snapshot(), pg_current_snapshot()::text, now()").fetchone()
        assert before is not None and row is not None
        refused: dict[str, SourceError] = {}
        tables = read_source_tables(connection, settings.publication, refused, options=read_options(settings))
        visible = PostgresSnapshot.parse(row[1])
        yield SourcePoint(connection, row[0], visible, lsn_number(before[0]), row[2], tables, refused)


def connect(settings: Settings) -> psycopg.Connection[Any]:
    """A connection to the source that writes values as the lake holds them. Raises ComponentError."""
    options = "-c timezone=UTC -c datestyle=ISO,YMD -c extra_float_digits=1 -c intervalstyle=iso_8601"
    try:
        connection = psycopg.connect(settings.source_dsn("cdc"), options=options, connect_timeout=10)
    except psycopg.OperationalError as refused:
        raise ComponentError(f"Postgres does not answer: {refused}", remedy="lake status; lake up") from refused
    connection.execute("select set_config(%s, %s, false)", [KEY_SETTING, settings.secrets.pseudonym_key])
    connection.commit()
    return connection


def pass_barrier(settings: Settings, deadline: float) -> None:
    """Write a row and wait until Kafka shows it: all that committed before is then in the topics.

    `deadline` is a time of `time.monotonic`. Raises VerificationError when the row does not come through.
    """
    from confluent_kafka import TopicPartition

    topic = f"{settings.topic_prefix}.heartbeat"
    nonce = uuid.uuid4().hex
    with kafka_consumer(settings) as consumer:
        partitions = topic_partitions(consumer, topic)
        ends = [consumer.get_watermark_offsets(partition, timeout=SECONDS_PER_REQUEST)[1] for partition in partitions]
        consumer.assign([TopicPartition(topic, p.partition, end) for p, end in zip(partitions, ends, strict=True)])
        with connect(settings) as connection:
            connection.execute(_WRITE, [BARRIER_ID, nonce])
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None and _nonce(message.value()) == nonce:
                return
    raise VerificationError(
        f"a row written to public.heartbeat did not reach topic {topic} in time",
        remedy="is the connector running? lake status; lake logs connect",
    )


def topic_targets(settings: Settings, topics: list[str]) -> dict[str, dict[int, int]]:
    """For each topic and partition, the offset after its last change event, 0 when it holds none: to be covered.

    Tombstones and transaction markers behind it are not waited for: they change nothing, so no commit is made for them.
    """
    with kafka_consumer(settings) as consumer:
        return {
            topic: {p.partition: _after_last_event(consumer, p) for p in topic_partitions(consumer, topic)}
            for topic in topics
        }


@contextmanager
def kafka_consumer(settings: Settings) -> Iterator[Consumer]:
    """A consumer that sees committed records alone and tells the end of a partition."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            **kafka_client(settings),
            "group.id": f"lake-verify-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 20,
            "fetch.message.max.bytes": 33554432,
        },
        logger=None,
    )
    try:
        yield consumer
    finally:
        consumer.close()


def topic_partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """The partitions of a topic. Raises ComponentError without a broker and VerificationError without the topic."""
    from confluent_kafka import KafkaException, TopicPartition

    try:
        found = consumer.list_topics(topic, timeout=SECONDS_PER_REQUEST).topics[topic]
    except KafkaException as failed:
        raise ComponentError(f"Kafka does not answer: {failed}", remedy="lake status; lake up") from failed
    if found.error is not None or not found.partitions:
        raise VerificationError(f"there is no topic {topic}", remedy="scripts/setup-connectors.sh")
    return [TopicPartition(topic, number) for number in sorted(found.partitions)]


def _after_last_event(consumer: Consumer, partition: TopicPartition) -> int:
    from confluent_kafka import KafkaError, TopicPartition

    low, high = consumer.get_watermark_offsets(partition, timeout=SECONDS_PER_REQUEST)
    window, last = _FIRST_WINDOW, -1
    start = high
    while last < 0 and start > low:
        start = max(low, high - window)
        window *= 16
        consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
        deadline = time.monotonic() + SECONDS_PER_REQUEST
        while True:
            message = consumer.poll(0.5)
            if message is None:
                if time.monotonic() > deadline:
                    raise VerificationError(
                        f"topic {partition.topic} was not readable up to offset {high}", remedy="lake status"
                    )
                continue
            if message.error() is None:
                last = message.offset() if message.value() is not None else last
            elif message.error().code() == KafkaError._PARTITION_EOF:
                break
    return last + 1


def _nonce(value: bytes | None) -> str | None:
    if value is None:
        return None
    envelope = json.loads(value)
    return (envelope.get("after") or {}).get("nonce")
