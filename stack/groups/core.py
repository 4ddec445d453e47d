"""The change path: Postgres, Kafka, store, REST catalog, Kafka Connect and the stream."""

from __future__ import annotations

from catalog.settings import Settings
from stack import commands, configuration, health, kafka, postgres, s3
from stack.component import Component


def store_internal_ports(settings: Settings) -> dict[str, int]:
    """The object store's internal ports by use."""
    return {use: settings.port("s3_internal") + n for n, use in enumerate(commands.STORE_PORTS)}


def _prepare_store(settings: Settings) -> bool:
    if settings.object_store == "minio":
        (settings.state_dir / "minio").mkdir(parents=True, exist_ok=True, mode=0o700)
        return False
    folder = settings.state_dir / "store"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # the program saves the options it ran with and reads them again: ours must win
    (folder / "mini.options").unlink(missing_ok=True)
    return configuration.write_store(settings, store_internal_ports(settings))


COMPONENTS = (
    Component(
        name="postgres",
        title="Postgres",
        command=commands.postgres_command,
        ask=postgres.ask,
        address=postgres.address,
        ports=("postgres",),
        prepare=postgres.prepare,
        finish=postgres.ensure_catalog,
        external=("source_host", "catalog_uri"),
        stop_signal=postgres.STOP_SIGNAL,
        stop_seconds=60,
        orphan_signal=postgres.ORPHAN_SIGNAL,
    ),
    Component(
        name="kafka",
        title="Kafka",
        command=commands.kafka_command,
        ask=kafka.ask,
        address=lambda settings: settings.kafka,
        ports=("kafka", "kafka_controller", "kafka_metrics"),
        after=("postgres",),
        prepare=kafka.prepare,
        external=("kafka_bootstrap",),
    ),
    Component(
        name="store",
        title="S3 store",
        command=commands.store_command,
        ask=s3.ask,
        address=lambda settings: settings.s3,
        ports=("s3", "s3_console"),
        blocks=(("s3_internal", len(commands.STORE_PORTS)),),
        prepare=_prepare_store,
        external=("s3_endpoint",),
    ),
    Component(
        name="catalog",
        title="REST catalog",
        command=commands.catalog_command,
        ask=health.ask_catalog,
        address=lambda settings: settings.catalog,
        ports=("catalog", "catalog_metrics"),
        after=("postgres",),
        prepare=configuration.write_log_setup,
        external=("catalog_uri",),
    ),
    Component(
        name="connect",
        title="Kafka Connect",
        command=commands.connect_command,
        ask=health.ask_connect,
        address=lambda settings: settings.connect,
        ports=("connect", "connect_metrics"),
        after=("postgres", "kafka"),
        prepare=configuration.write_connect,
        external=("connect_url",),
        start_seconds=180,
        orphan_signal="KILL",
    ),
    Component(
        name="stream",
        title="stream",
        command=commands.stream_command,
        ask=health.ask_stream,
        address=lambda settings: f"http://{settings.host}:{settings.port('spark_ui')}",
        ports=("spark_ui", "stream_metrics"),
        after=("postgres", "kafka", "store", "catalog"),
        start_seconds=180,
        stop_seconds=60,
        orphan_signal="KILL",
    ),
)
