"""Trino, put together from Maven's jars: it reads the lake, and writes nothing.

Its configuration holds no secret and no address: `stack/templates/trino` serves the embedded server and the container
alike, and the environment fills it. A REST catalog that asks for a login adds lines.
"""

from __future__ import annotations

from pathlib import Path

from catalog.access import catalog_secrets
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
        "S3_PATH_STYLE": str(settings.s3_path_style).lower(),
        "S3_ACCESS_KEY": settings.secrets.s3_access_key,
        "S3_SECRET_KEY": settings.secrets.s3_secret_key,
        **_login(settings),
    }


def _login(settings: Settings) -> dict[str, str]:
    """What logs in to a REST catalog that asks for it; Trino refuses a property that it does not use."""
    given = {"CATALOG_WAREHOUSE": settings.catalog_warehouse} if settings.catalog_warehouse else {}
    if secrets := catalog_secrets(settings):
        given |= {f"CATALOG_{name.upper()}": value for name, value in secrets.items()}
    if "credential" in secrets:
        given |= {"CATALOG_SCOPE": settings.catalog_scope, "CATALOG_OAUTH2_URI": settings.catalog_token_endpoint}
    return given


_LOGIN = {
    "CATALOG_WAREHOUSE": "warehouse",
    "CATALOG_CREDENTIAL": "oauth2.credential",
    "CATALOG_TOKEN": "oauth2.token",
    "CATALOG_SCOPE": "oauth2.scope",
    "CATALOG_OAUTH2_URI": "oauth2.server-uri",
}
"""The property of `iceberg.rest-catalog` that each of them fills."""


def command(settings: Settings) -> Command:
    """The server, started as the archive's launcher would; every folder but the state's is read only."""
    properties = {
        "node.environment": NODE,
        "node.id": NODE,
        "node.data-dir": settings.state_dir / "trino",
        "node.bind-ip": settings.host,
        "plugin.dir": settings.state_dir / "trino" / "plugins",
        "catalog.config-dir": _catalog_file(settings).parent,
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
    given = _login(settings)
    lines = [f"iceberg.rest-catalog.{_LOGIN[name]}=${{ENV:{name}}}\n" for name in given]
    if catalog_secrets(settings):
        lines.append("iceberg.rest-catalog.security=OAUTH2\n")
    if settings.catalog_credential is not None:
        lines.append("iceberg.rest-catalog.oauth2.token-exchange-enabled=false\n")
    file = _catalog_file(settings)
    return configuration.write(file, (FILES / "catalog" / file.name).read_text() + "".join(lines))


def _catalog_file(settings: Settings) -> Path:
    return configuration.path(settings, "trino-catalog") / "iceberg.properties"


def ask(settings: Settings) -> str:
    """Its own report, which says when it takes queries."""
    report = health.get_json(f"{settings.trino}/v1/info")
    if report["starting"]:
        raise ValueError("it is starting")
    return f"version {report['nodeVersion']['version']}, up {report['uptime']}"
