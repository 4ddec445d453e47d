"""The embedded broker: its storage, made once, and a real request to it."""

from __future__ import annotations

import base64
import logging
import subprocess
import uuid

from catalog.access import kafka_client
from catalog.errors import ComponentError
from catalog.settings import Settings
from stack import commands, configuration

REQUEST_SECONDS = 3.0
SETTINGS = "LAKE_KAFKA_BOOTSTRAP, LAKE_KAFKA_SECURITY, LAKE_KAFKA_USER, LAKE_KAFKA_PASSWORD or LAKE_KAFKA_CA_FILE"
"""A broker of others may be silent for each of them: it tells no stranger which."""


def prepare(settings: Settings) -> bool:
    """Write the configuration and format the log folder when it is new; True when the configuration changed."""
    changed = configuration.write_kafka(settings)
    if not (settings.state_dir / "kafka" / "meta.properties").exists():
        _format(settings)
    return changed


def ask(settings: Settings) -> str:
    """One metadata request. Raises ComponentError."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    quiet = logging.getLogger("librdkafka")
    quiet.setLevel(logging.CRITICAL)
    client = AdminClient({**kafka_client(settings), "socket.timeout.ms": 3000}, logger=quiet)
    try:
        metadata = client.list_topics(timeout=REQUEST_SECONDS)
    except KafkaException as silent:
        remedy = "" if settings.kafka_bootstrap is None else f"start it, or correct {SETTINGS}"
        raise ComponentError(f"no metadata from {settings.kafka}: {silent.args[0].str()}", remedy=remedy) from silent
    return f"{len(metadata.brokers)} broker, {len(metadata.topics)} topics"


def _format(settings: Settings) -> None:
    (settings.state_dir / "kafka").mkdir(mode=0o700, exist_ok=True)
    cluster = base64.urlsafe_b64encode(b"l" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
    server = configuration.path(settings, "server.properties")
    tool = ("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(server))
    flags = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    command = commands.java(settings, flags, commands.JARS / "kafka" / "*", *tool)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ComponentError(
            f"Kafka's storage could not be formatted: {(done.stderr or done.stdout).strip()[-800:]}",
            remedy="mend what it says, then `lake up`",
        )
