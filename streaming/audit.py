"""Is each topic still the one that the positions count in? Asked of the broker before each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from catalog.errors import ComponentError
from catalog.settings import Settings

_TIMEOUT_SECONDS = 10


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
        self._admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})

    def read(self, names: Sequence[str]) -> dict[str, Topic]:
        """The topics that exist, by name. Raises ComponentError when the broker does not answer."""
        if not names:
            return {}
        try:
            described = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=_TIMEOUT_SECONDS)
            found = {}
            for name, future in described.items():
                try:
                    found[name] = future.result()
                except KafkaException as failure:
                    if failure.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
            wanted = {
                TopicPartition(name, partition.id): OffsetSpec.earliest()
                for name, topic in found.items()
                for partition in topic.partitions
            }
            offsets = self._admin.list_offsets(wanted, request_timeout=_TIMEOUT_SECONDS) if wanted else {}
            earliest: dict[str, dict[int, int]] = {name: {} for name in found}
            for place, future in offsets.items():
                earliest[place.topic][place.partition] = future.result().offset
        except KafkaException as failure:
            raise ComponentError(
                f"Kafka at {self._bootstrap} does not answer: {failure.args[0].str()}",
                remedy="lake status; lake logs kafka",
            ) from failure
        return {name: Topic(name, str(topic.topic_id), earliest[name]) for name, topic in found.items()}
