"""Looking into Kafka as a reader of committed records: what is in a topic, how it is set up, how far the stream is."""

from __future__ import annotations

import difflib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource

from catalog.access import kafka_client
from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import Settings

TIMEOUT_SECONDS = 15.0
MARGIN = 20
TOLD_SETTINGS = ("cleanup.policy", "retention.ms", "max.message.bytes")


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record; a tombstone has no value."""

    partition: int
    offset: int
    timestamp: int
    headers: list[tuple[str, str | None]]
    key: bytes | None
    value: bytes | None

    def as_json(self) -> dict[str, Any]:
        """Key, value and place; bytes that are not JSON stand as text."""
        return {
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": self.timestamp,
            "headers": [list(header) for header in self.headers],
            "key": _parsed(self.key),
            "value": _parsed(self.value),
        }


@dataclass(frozen=True, slots=True)
class Partition:
    """Offsets of one partition: the first one held and the next one to be written. Transaction markers take offsets."""

    number: int
    start: int
    end: int


def list_topics(settings: Settings) -> dict[str, int]:
    """Every topic that is not internal to Kafka or Connect, with its number of partitions."""
    topics = _metadata(settings)
    return {name: len(topics[name].partitions) for name in sorted(topics) if not name.startswith("_")}


def partitions(settings: Settings, topic: str) -> list[Partition]:
    """Offsets of each partition of a topic."""
    require_topic(settings, topic)
    numbers = _metadata(settings)[topic].partitions
    with _reader(settings) as consumer:
        found = [
            (number, consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_SECONDS))
            for number in sorted(numbers)
        ]
    return [Partition(number, *offsets) for number, offsets in found]


def topic_settings(settings: Settings, topic: str) -> dict[str, str]:
    """Those settings of a topic that decide whether a record can get lost."""
    require_topic(settings, topic)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        admin = _admin(settings)
        entries = admin.describe_configs([resource])[resource].result(TIMEOUT_SECONDS)
    except KafkaException as refused:
        raise _unreachable(settings, refused) from refused
    return {name: str(entries[name].value) for name in TOLD_SETTINGS}


def read_records(
    settings: Settings, topic: str, *, limit: int | None = None, from_beginning: bool = False, follow: bool = False
) -> Iterator[Record]:
    """Committed records of a topic: the last `limit` ones, or the first; with `follow` it waits for new ones.

    Raises ConfigurationError when there is no such topic, ComponentError when Kafka does not answer.
    """
    tail = limit is not None and not from_beginning and not follow
    records = _read(settings, topic, limit=None if tail else limit, span=limit, beginning=from_beginning, follow=follow)
    return iter(deque(records, maxlen=limit)) if tail else records


def _read(
    settings: Settings, topic: str, *, limit: int | None, span: int | None, beginning: bool, follow: bool
) -> Iterator[Record]:
    spans = partitions(settings, topic)
    ends = {s.number: s.end for s in spans}
    starts = [TopicPartition(topic, s.number, _first_offset(s, span, beginning, follow)) for s in spans]
    done = {s.number for s in spans if not follow and s.start == s.end}
    count = 0
    with _reader(settings) as consumer:
        consumer.assign(starts)
        while len(done) < len(spans) and (limit is None or count < limit):
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                yield _record(message)
                count += 1
            elif message is not None and message.error().code() != KafkaError._PARTITION_EOF:
                raise _unreachable(settings, KafkaException(message.error()))
            if not follow:
                for place in consumer.position(starts):
                    if place.offset >= ends[place.partition]:
                        done.add(place.partition)


def require_topic(settings: Settings, topic: str) -> None:
    """Raise ConfigurationError, with the closest names, when there is no such topic."""
    names = list(_metadata(settings))
    if topic in names:
        return
    bare = {name.removeprefix(f"{settings.topic_prefix}."): name for name in names}
    close = [bare[near] for near in difflib.get_close_matches(topic.split(".")[-1], bare, n=3, cutoff=0.5)]
    close = close or difflib.get_close_matches(topic, names, n=3)
    raise ConfigurationError(
        f"there is no topic {topic}",
        remedy=f"did you mean {' or '.join(close)}?" if close else "scripts/kafka-scripts.sh list names every topic",
    )


def _first_offset(partition: Partition, last: int | None, beginning: bool, follow: bool) -> int:
    """Where to start; among the last records of a quiet topic every second offset is a transaction's marker."""
    if beginning or (last is None and not follow):
        return OFFSET_BEGINNING
    return partition.end if follow or last is None else max(partition.start, partition.end - 2 * last - MARGIN)


def _record(message: Any) -> Record:
    headers = [(name, None if value is None else value.decode()) for name, value in message.headers() or []]
    return Record(
        message.partition(), message.offset(), message.timestamp()[1], headers, message.key(), message.value()
    )


class _reader:
    """A consumer of committed records without a group, closed at the end."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            {
                **kafka_client(settings),
                "group.id": "lake-inspection",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.message.max.bytes": 34 << 20,
                "log_level": 0,
            }
        )
        self._settings = settings

    def __enter__(self) -> Consumer:
        return self._consumer

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._consumer.close()
        if isinstance(error, KafkaException):
            raise _unreachable(self._settings, error) from error


def _admin(settings: Settings) -> AdminClient:
    return AdminClient({**kafka_client(settings), "socket.timeout.ms": 10_000, "log_level": 0})


def _metadata(settings: Settings) -> dict[str, Any]:
    try:
        return _admin(settings).list_topics(timeout=TIMEOUT_SECONDS).topics
    except KafkaException as refused:
        raise _unreachable(settings, refused) from refused


def _unreachable(settings: Settings, error: KafkaException) -> ComponentError:
    return ComponentError(
        f"Kafka at {settings.kafka} does not answer: {error.args[0].str()}",
        remedy="scripts/lake up starts it; scripts/lake logs kafka shows why it stopped",
    )


def _parsed(raw: bytes | None) -> Any:
    if raw is None:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="backslashreplace")
