"""The one Spark session: stream, batch jobs and `lake sql` all build theirs here.

What a submitted job must find before its Java starts is written by the stack into its `spark-defaults.conf`.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.access import catalog_properties, catalog_secrets, store_properties, store_secrets
from catalog.errors import ConfigurationError
from catalog.java import find_java
from catalog.settings import CATALOG, PROJECT, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JARS = PROJECT / "jars" / "lib" / "spark"
LOGGING = Path(__file__).with_name("log4j2.properties")
REDACTED = r"(?i)secret|password|token|credential|jaas|access[.-]?key"
BATCH_MEMORY = "1g"
"""Heap of a batch job's driver and of its executor."""
_JAVA = f"-Dlog4j2.configurationFile={LOGGING.as_uri()} -Duser.timezone=UTC"
_BRIEF = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+ExitOnOutOfMemoryError"
"""The second compiler took half of the JVM's time for code that runs briefly between two waits. Without it Java keeps
48 MB for compiled code, which a long session fills; calls then fail with NoSuchMethodException."""
CHECKPOINT_FILES = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
"""Commits a partition's offset with a third of the default manager's cost on a local file system."""


def spark_session(
    settings: Settings,
    app_name: str,
    *,
    ui_port: int | None = None,
    driver_memory: str | None = None,
    submitted: bool = False,
) -> SparkSession:
    """Start Spark, or return the running session. The UI is off unless `ui_port` is given; memory as Spark writes it.

    In a `submitted` process spark-submit has read `submit_properties`; only the secrets are missing.

    Raises ConfigurationError when the jars or a Java runtime are missing.
    """
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(app_name)
    if not submitted:
        os.environ["JAVA_HOME"] = str(find_java(settings))
        # The UI binds to this address and to every interface without it; no Spark property does the same.
        os.environ["SPARK_LOCAL_IP"] = settings.spark_ui_host or settings.host
        # Outside of spark-submit the property of this meaning is not read.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        memory = driver_memory or settings.spark_driver_memory
        options = _launch_properties(settings, settings.stream_spark_master, memory) | _interface(ui_port)
        for name, value in options.items():
            builder = builder.config(name, value)
    session = builder.getOrCreate()
    # PySpark writes each refused query with its Java trace to standard error, besides raising it.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    _give_secrets(session, settings)
    return session


def submit_properties(settings: Settings) -> dict[str, str]:
    """What stands in the `spark-defaults.conf` of batch jobs, which spark-submit reads before it starts Java.

    The embedded master asks for a key, so the file is for its owner's eyes only.
    """
    embedded = settings.spark_master is None
    java = f"{_JAVA} -XX:+ExitOnOutOfMemoryError" if embedded else "-Duser.timezone=UTC"
    properties = {
        **_launch_properties(settings, settings.batch_spark_master, BATCH_MEMORY),
        **_interface(None),
        "spark.cores.max": "1",
        "spark.executor.memory": BATCH_MEMORY,
        "spark.executor.extraJavaOptions": java,
    }
    if embedded:
        properties["spark.executor.extraClassPath"] = properties["spark.driver.extraClassPath"]
        properties |= {"spark.authenticate": "true", "spark.authenticate.secret": settings.secrets.spark_key}
    return properties


def _launch_properties(settings: Settings, master: str, driver_memory: str) -> dict[str, str]:
    """All that must stand before Java starts, or that executors need; no secret, for it becomes a command line."""
    return {"spark.master": master, **_engine(settings, driver_memory), **_catalog(settings), **_jars(settings, master)}


def _engine(settings: Settings, driver_memory: str) -> dict[str, str]:
    address = settings.spark_driver_host or settings.host
    return {
        "spark.driver.memory": driver_memory,
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.driver.extraJavaOptions": f"{_JAVA} {_BRIEF}",
        "spark.pyspark.python": sys.executable,
        "spark.scheduler.mode": "FAIR",
        "spark.redaction.regex": REDACTED,
        "spark.sql.redaction.string.regex": REDACTED,
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(settings.state_dir / "spark-warehouse"),
        "spark.sql.streaming.checkpointFileManagerClass": CHECKPOINT_FILES,
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.defaultCatalog": CATALOG,
    }


def _interface(ui_port: int | None) -> dict[str, str]:
    shown = {"spark.ui.enabled": str(ui_port is not None).lower(), "spark.ui.showConsoleProgress": "false"}
    return shown if ui_port is None else {**shown, "spark.ui.port": str(ui_port)}


def _catalog(settings: Settings) -> dict[str, str]:
    catalog = f"spark.sql.catalog.{CATALOG}"
    given = catalog_properties(settings) | store_properties(settings)
    return {
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "rest",
        # A cached table would hide other writers' commits for up to 30 seconds.
        f"{catalog}.cache-enabled": "false",
    } | {f"{catalog}.{name}": value for name, value in given.items()}


def _jars(settings: Settings, master: str) -> dict[str, str]:
    jars = sorted(str(path) for path in JARS.glob("*.jar"))
    if not jars:
        raise ConfigurationError(f"{JARS} holds no jars", remedy="scripts/download_jars.sh")
    if settings.spark_master is None or master.startswith("local"):
        # On the class path, the executors' too, they are read in place; `spark.jars` copies 100 MB at every start.
        return {"spark.driver.extraClassPath": os.pathsep.join(jars)}
    return {"spark.jars": ",".join(jars)}


def _give_secrets(session: SparkSession, settings: Settings) -> None:
    """Set keys and logins after the start: as options of the start they would stand in the process list."""
    defaults = session.sparkContext._jsc.sc().conf()
    for name, value in (store_secrets(settings) | catalog_secrets(settings)).items():
        option = f"spark.sql.catalog.{CATALOG}.{name}"
        session.conf.set(option, value)
        defaults.set(option, value)
