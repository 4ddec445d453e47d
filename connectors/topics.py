"""Kafka topics of the source, created before the connector writes: an empty table would get none otherwise."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from catalog.access import kafka_client
from catalog.errors import ComponentError
from catalog.settings import Settings
from connectors.source import published_tables, wanted_tables

MAX_RECORD_BYTES = 32 << 20
"""Largest record that a producer may send; the broker and all readers allow this and BATCH_OVERHEAD more."""
BATCH_OVERHEAD = 1 << 20
KEEP_FOREVER = -1
"""A table without a position starts only where its topic is complete from offset 0; a resync reads from there too."""
SERVICE_RETENTION_MS = 24 * 3600 * 1000
"""Heartbeats and signals are of no use once they are read."""
TIMEOUT_SECONDS = 20.0


def topic_name(prefix: str, schema: str, table: str) -> str:
    """The topic of one source table: the schema is named unless it is public."""
    return f"{prefix}.{table}" if schema == "public" else f"{prefix}.{schema}.{table}"


def wanted_topics(settings: Settings) -> dict[str, dict[str, str]]:
    """Every topic the connector writes, with its configuration."""
    service = {"public": {"heartbeat", "signal"}}
    topics = {
        topic_name(settings.topic_prefix, schema, table): _configuration(
            SERVICE_RETENTION_MS if table in service.get(schema, ()) else KEEP_FOREVER
        )
        for schema, table in [*published_tables(settings), *(("public", table) for table in wanted_tables(settings))]
    }
    topics[f"__debezium-heartbeat.{settings.topic_prefix}"] = _configuration(SERVICE_RETENTION_MS)
    return topics


def ensure_topics(settings: Settings) -> list[str]:
    """Create missing topics with one partition, correct the configuration of the others, return the names created.

    Raises ComponentError when Kafka does not answer or refuses.
    """
    topics = wanted_topics(settings)
    admin = AdminClient({**kafka_client(settings), "socket.timeout.ms": 10_000, "log_level": 0})
    try:
        present = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
        missing = [name for name in topics if name not in present]
        new = [
            NewTopic(name, num_partitions=1, replication_factor=settings.kafka_replication, config=topics[name])
            for name in missing
        ]
        for future in admin.create_topics(new).values() if new else ():
            future.result(TIMEOUT_SECONDS)
        kept = [
            ConfigResource(
                ConfigResource.Type.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                    for key, value in topics[name].items()
                ],
            )
            for name in topics
            if name in present
        ]
        for future in admin.incremental_alter_configs(kept).values() if kept else ():
            future.result(TIMEOUT_SECONDS)
    except KafkaException as refused:
        raise ComponentError(
            f"Kafka at {settings.kafka} did not create the topics: {refused.args[0].str()}",
            remedy="scripts/lake status; scripts/lake logs kafka",
        ) from refused
    return missing


def delete_topic(settings: Settings, topic: str) -> None:
    """Delete a topic; harmless when there is none. Raises ComponentError as `ensure_topics` does."""
    admin = AdminClient({**kafka_client(settings), "socket.timeout.ms": 10_000, "log_level": 0})
    try:
        admin.delete_topics([topic])[topic].result(TIMEOUT_SECONDS)
    except KafkaException as refused:
        if refused.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return
        raise ComponentError(
            f"Kafka at {settings.kafka} did not delete topic {topic}: {refused.args[0].str()}",
            remedy="scripts/lake status; scripts/lake logs kafka",
        ) from refused


def _configuration(retention_ms: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "retention.bytes": "-1",
        "max.message.bytes": str(MAX_RECORD_BYTES + BATCH_OVERHEAD),
    }
