"""Trino, put together from Maven's jars: it reads the lake, and writes nothing.

Its configuration holds no secret and no address: `stack/templates/trino` serves the embedded server and the container
alike, and the environment fills it.
"""

from __future__ import annotations

from catalog.java import TRINO, find_java
from catalog.settings import Settings
from stack import configuration, health, jars
from stack.commands import Command

FILES = configuration.TEMPLATES / "trino"
NODE = "lakehouse"
"""The name of the environment of one server, and of the server."""


def environment(settings: Settings) -> dict[str, str]:
    """What `${ENV:…}` stands for in its configuration."""
    return {
        "TRINO_HOST": settings.host,
        "TRINO_PORT": str(settings.port("trino")),
        "CATALOG_URI": settings.catalog,
        "S3_ENDPOINT": settings.s3,
        "S3_REGION": settings.s3_region,
        "S3_ACCESS_KEY": settings.secrets.s3_access_key,
        "S3_SECRET_KEY": settings.secrets.s3_secret_key,
    }


def command(settings: Settings) -> Command:
    """The server, started as the archive's launcher would; every folder but the state's is read only."""
    properties = {
        "node.environment": NODE,
        "node.id": NODE,
        "node.data-dir": settings.state_dir / "trino",
        "node.bind-ip": settings.host,
        "plugin.dir": settings.state_dir / "trino" / "plugins",
        "catalog.config-dir": FILES / "catalog",
        "config": FILES / "config.properties",
        "log.levels-file": FILES / "log.properties",
    }
    java = str(find_java(settings, TRINO) / "bin" / "java")
    given = tuple(f"-D{name}={value}" for name, value in properties.items())
    main = str(jars.TRINO.root / "TrinoServer.java")
    classes = str(jars.TRINO.lib / "server" / "*")
    flags = (FILES / "jvm.config").read_text().split()
    return Command((java, *flags, *given, "-cp", classes, main), environment(settings), settings.state_dir / "trino")


def prepare(settings: Settings) -> bool:
    """Make its folder, where the one plugin is found; every folder beside it would be taken for a plugin too."""
    plugins = settings.state_dir / "trino" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True, mode=0o700)
    plugin = plugins / "iceberg"
    if not plugin.is_symlink() or plugin.readlink() != jars.TRINO.lib / "iceberg":
        plugin.unlink(missing_ok=True)
        plugin.symlink_to(jars.TRINO.lib / "iceberg")
    return False


def ask(settings: Settings) -> str:
    """Its own report, which says when it takes queries."""
    report = health.get_json(f"{settings.trino}/v1/info")
    if report["starting"]:
        raise ValueError("it is starting")
    return f"version {report['nodeVersion']['version']}, up {report['uptime']}"
