"""Files that the components read, rendered from `templates/` into the state folder, for its owner's eyes only."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from catalog.access import kafka_java
from catalog.settings import PROJECT, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES = Path(__file__).parent / "templates"
PLUGINS = PROJECT / "jars" / "lib" / "plugins"
CONNECT_SECRETS = "connect-secrets.properties"
CONNECT_GROUP = "lakehouse-connect"


def path(settings: Settings, name: str) -> Path:
    """Where a rendered file is."""
    return settings.state_dir / "config" / name


def render(name: str, values: Mapping[str, object]) -> str:
    """A template with its `$places` filled; a place without a value is a KeyError."""
    return Template((TEMPLATES / name).read_text()).substitute(values)


def write(target: Path, text: str, *, mode: int = 0o600) -> bool:
    """Replace the file in one step if its text differs; True when it did."""
    if target.exists() and target.read_text() == text:
        return False
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(target)
    return True


def write_kafka(settings: Settings) -> bool:
    """The broker's configuration."""
    values = {
        "host": settings.host,
        "kafka_port": settings.port("kafka"),
        "controller_port": settings.port("kafka_controller"),
        "kafka_dir": settings.state_dir / "kafka",
    }
    logs = write_log_setup(settings)
    return write(path(settings, "server.properties"), render("server.properties", values)) or logs


def write_connect(settings: Settings) -> bool:
    """The worker's configuration and the one file from which connectors may take secrets."""
    secrets_file = path(settings, CONNECT_SECRETS)
    values = {
        "clients": _kafka_clients(settings),
        "replication": settings.kafka_replication,
        "group": CONNECT_GROUP,
        "host": settings.host,
        "connect_port": settings.port("connect"),
        "plugins": PLUGINS,
        "secrets_file": secrets_file,
    }
    changed = [
        write_log_setup(settings),
        write(secrets_file, f"cdc.password={_property(settings.secrets.cdc)}\n"),
        write(path(settings, "connect.properties"), render("connect.properties", values)),
    ]
    return any(changed)


def _kafka_clients(settings: Settings) -> str:
    """How the worker, and what it runs for connectors, reaches Kafka; each of them is told apart."""
    options = kafka_java(settings)
    address = options.pop("bootstrap.servers")
    lines = [f"bootstrap.servers={address}"]
    lines += [
        f"{prefix}{name}={_property(value)}"
        for prefix in ("", "producer.", "consumer.", "admin.")
        for name, value in options.items()
    ]
    return "\n".join(lines)


def write_store(settings: Settings, internal_ports: Mapping[str, int]) -> bool:
    """The object store's options; its console's login is `admin` with the S3 secret key."""
    values = {
        "host": settings.host,
        "store_dir": settings.state_dir / "store",
        "s3_port": settings.port("s3"),
        "console_port": settings.port("s3_console"),
        "console_password": settings.secrets.s3_secret_key,
        "bucket": settings.bucket,
        **{f"{name}_port": port for name, port in internal_ports.items()},
    }
    return write(path(settings, "store.options"), render("store.options", values))


def write_log_setup(settings: Settings) -> bool:
    """What the Java components log; everything goes to standard output, which supervisord rotates."""
    return write(path(settings, "log4j2.properties"), render("log4j2.properties", {}))


def _property(value: str) -> str:
    """A value in a Java properties file."""
    return value.replace("\\", "\\\\").encode("ascii", "backslashreplace").decode()
