"""Is each topic still the one that the positions count in, and where does it end? Asked of the broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from catalog.access import kafka_client
from catalog.errors import ComponentError
from catalog.settings import Settings

_TIMEOUT_SECONDS = 10
_END_SECONDS = 3
"""For what is only shown: whoever asks waits no longer."""


@dataclass(frozen=True)
class Topic:
    """A topic as the broker has it now: its id and, by partition, the earliest offset still held."""

    name: str
    topic_id: str
    earliest: Mapping[int, int]


class TopicAudit:
    """Asks the broker about topics."""

    def __init__(self, settings: Settings) -> None:
        self._bootstrap = settings.kafka
        self._admin = AdminClient({**kafka_client(settings), "log_level": 0})

    def read(self, names: Sequence[str]) -> dict[str, Topic]:
        """The topics that exist, by name. Raises ComponentError when the broker does not answer."""
        with self._answering():
            found = self._describe(names, _TIMEOUT_SECONDS)
            earliest = self._offsets(found, OffsetSpec.earliest(), _TIMEOUT_SECONDS)
        return {name: Topic(name, str(topic.topic_id), earliest[name]) for name, topic in found.items()}

    def ends(self, names: Sequence[str]) -> dict[str, dict[int, int]]:
        """By topic and partition, the offset behind the last committed record. Raises ComponentError."""
        with self._answering():
            return self._offsets(self._describe(names, _END_SECONDS), OffsetSpec.latest(), _END_SECONDS)

    def _describe(self, names: Sequence[str], seconds: float) -> dict[str, Any]:
        if not names:
            return {}
        found = {}
        for name, future in self._admin.describe_topics(TopicCollection(list(names)), request_timeout=seconds).items():
            try:
                found[name] = future.result()
            except KafkaException as failure:
                if failure.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return found

    def _offsets(self, topics: Mapping[str, Any], spec: OffsetSpec, seconds: float) -> dict[str, dict[int, int]]:
        wanted = {
            TopicPartition(name, partition.id): spec for name, topic in topics.items() for partition in topic.partitions
        }
        committed = IsolationLevel.READ_COMMITTED
        found: dict[str, dict[int, int]] = {name: {} for name in topics}
        if wanted:
            answers = self._admin.list_offsets(wanted, request_timeout=seconds, isolation_level=committed)
            for place, future in answers.items():
                found[place.topic][place.partition] = future.result().offset
        return found

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as failure:
            raise ComponentError(
                f"Kafka at {self._bootstrap} does not answer: {failure.args[0].str()}",
                remedy="lake status; lake logs kafka",
            ) from failure
