"""How each component is run: command line, environment, folder. Secrets are in environments and files only."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from catalog.errors import ConfigurationError
from catalog.java import find_java
from catalog.settings import MARKER, PREFIX, PROJECT, Settings
from stack import configuration, postgres

JARS = PROJECT / "jars" / "lib"
STORE_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3_grpc", "admin_grpc")
"""What the object store's internal ports are for, in order from `s3_internal` on."""
AGENT = JARS / "agent" / "jmx_prometheus_javaagent-1.0.1.jar"
RULES = Path(__file__).with_name("monitoring") / "jmx"
"""What the agent tells of each component's MBeans."""


@dataclass(frozen=True)
class Command:
    """An absolute program with its arguments, the environment beyond the basic one, and the folder it starts in."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path = PROJECT


def basic_environment(name: str, settings: Settings) -> dict[str, str]:
    """What every process gets: where programs are, one locale, and whose it is."""
    environment = {"LANG": "C.UTF-8", MARKER: f"{name}@{settings.state_dir}"}
    for variable in ("PATH", "HOME", "TMPDIR"):
        if variable in os.environ:
            environment[variable] = os.environ[variable]
    return environment


def postgres_command(settings: Settings) -> Command:
    """The server, as an unprivileged user when we are root."""
    server = postgres.binary("postgres")
    arguments = (*postgres.drop_privileges(settings), str(server), "-D", str(postgres.data_dir(settings)))
    return Command(arguments, directory=Path("/"))


def kafka_command(settings: Settings) -> Command:
    """One node, broker and controller; its throughput is the page cache's, so the heap stays small."""
    server = configuration.path(settings, "server.properties")
    flags = ("-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", _agent(settings, "kafka"))
    return Command(java(settings, flags, JARS / "kafka" / "*", "kafka.Kafka", str(server)))


def connect_command(settings: Settings) -> Command:
    """The distributed worker with Debezium."""
    worker = configuration.path(settings, "connect.properties")
    heap = ("-Xms256m", "-Xmx768m", "-XX:+UseParallelGC", "-XX:+ExitOnOutOfMemoryError")
    encoding = "-Dfile.encoding=UTF-8"  # in which Debezium hashes a text; before Java 18 the locale's otherwise
    flags = (*heap, encoding, _agent(settings, "connect"))
    main = "org.apache.kafka.connect.cli.ConnectDistributed"
    return Command(java(settings, flags, JARS / "kafka" / "*", main, str(worker)))


def store_command(settings: Settings) -> Command:
    """The object store in one process: SeaweedFS, or MinIO by setting."""
    program = str(store_binary(settings))
    if settings.object_store == "minio":
        return _minio_command(settings, program)
    options = configuration.path(settings, "store.options")
    arguments = (program, "-logtostderr", "mini", f"-options={options}")
    keys = {
        "AWS_ACCESS_KEY_ID": settings.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.secrets.s3_secret_key,
        "GOMEMLIMIT": "400MiB",
    }
    return Command(arguments, keys, settings.state_dir / "store")


def _minio_command(settings: Settings, program: str) -> Command:
    folder = settings.state_dir / "minio"
    store, console = (f"{settings.host}:{settings.port(name)}" for name in ("s3", "s3_console"))
    environment = {
        "MINIO_ROOT_USER": settings.secrets.s3_access_key,
        "MINIO_ROOT_PASSWORD": settings.secrets.s3_secret_key,
        "MINIO_REGION": settings.s3_region,
        "MINIO_UPDATE": "off",
        "GOMEMLIMIT": "400MiB",
    }
    arguments = (program, "server", str(folder), "--address", store, "--console-address", console)
    return Command(arguments, environment, folder)


def catalog_command(settings: Settings) -> Command:
    """Iceberg's REST server over its JDBC catalog in Postgres."""
    flags = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
    jars, agent = JARS / "rest-catalog", _agent(settings, "catalog", rules="java")
    arguments = java(
        settings, (*flags, agent), f"{jars / 'classes'}:{jars}/*", "org.apache.iceberg.rest.LoopbackRestServer"
    )
    environment = {
        "REST_HOST": settings.host,
        "REST_PORT": str(settings.port("catalog")),
        "CATALOG_CATALOG__IMPL": "org.apache.iceberg.jdbc.JdbcCatalog",
        "CATALOG_URI": f"jdbc:postgresql://{settings.host}:{settings.port('postgres')}/catalog",
        "CATALOG_JDBC_USER": "catalog",
        "CATALOG_JDBC_PASSWORD": settings.secrets.catalog,
        "CATALOG_JDBC_SCHEMA__VERSION": "V1",
        "CATALOG_WAREHOUSE": settings.warehouse,
        "CATALOG_IO__IMPL": "org.apache.iceberg.aws.s3.S3FileIO",
        "CATALOG_S3_ENDPOINT": settings.s3,
        "CATALOG_S3_PATH__STYLE__ACCESS": "true",
        "AWS_REGION": settings.s3_region,
        "AWS_ACCESS_KEY_ID": settings.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.secrets.s3_secret_key,
    }
    return Command(arguments, environment)


def stream_command(settings: Settings) -> Command:
    """The streaming job."""
    environment = {**own_settings(settings), "JAVA_HOME": str(find_java(settings))}
    return Command((sys.executable, "-m", "streaming"), environment)


def own_settings(settings: Settings) -> dict[str, str]:
    """Variables by which a process of ours reads the same settings as we did, wherever they came from."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    given |= {"state_dir": settings.state_dir, "java_home": find_java(settings)}
    return {f"{PREFIX}{name}".upper(): _plain(value) for name, value in given.items() if value is not None}


def java(settings: Settings, flags: tuple[str, ...], classes: Path | str, *arguments: str) -> tuple[str, ...]:
    """A Java command line with our log set-up."""
    log = configuration.path(settings, "log4j2.properties")
    program = str(find_java(settings) / "bin" / "java")
    return (program, *flags, f"-Dlog4j2.configurationFile={log}", "-cp", str(classes), *arguments)


STORES = {"seaweedfs": ("weed", "scripts/setup"), "minio": ("minio", "scripts/setup minio")}
"""By kind, the object store's program and what installs it."""


def store_binary(settings: Settings) -> Path:
    """The object store's program: in this environment's scripts folder, where set-up puts it, or on the PATH."""
    name, installer = STORES[settings.object_store]
    own = Path(sysconfig.get_path("scripts")) / name
    found = own if own.exists() else shutil.which(name)
    if found is None:
        raise ConfigurationError(f"the object store's program `{name}` is missing", remedy=f"{installer} installs it")
    return Path(found)


def store_is_here(settings: Settings) -> bool:
    """Whether there is such a program."""
    try:
        return store_binary(settings).exists()
    except ConfigurationError:
        return False


def _agent(settings: Settings, name: str, *, rules: str | None = None) -> str:
    """The option that lets a Java component tell its metrics at its own port."""
    return f"-javaagent:{AGENT}={settings.host}:{settings.port(f'{name}_metrics')}:{RULES / (rules or name)}.yml"


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
