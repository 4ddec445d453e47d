"""Spark standalone: one master and one worker for batch jobs, and the configuration that spark-submit reads.

The PySpark wheel has no start script for either; `spark-class` becomes the Java process. Master, worker and jobs know
each other by a key: a master on loopback would run any local user's code otherwise.
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from catalog.errors import ConfigurationError
from catalog.java import find_java
from catalog.session import submit_properties
from catalog.settings import Settings
from stack import configuration, health
from stack.commands import Command

FOLDER = "spark"
"""Of the configuration, in the folder of all rendered files, and of the worker's files, in the state folder."""
WORKER_CORES = 2
_DEPLOY = "org.apache.spark.deploy"


def home() -> Path:
    """Spark's folder: the PySpark wheel of this environment."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ConfigurationError("PySpark is not installed", remedy="scripts/setup")
    return Path(spec.origin).parent


def environment(settings: Settings) -> dict[str, str]:
    """What master, worker and spark-submit need to find Java, Spark and our configuration, and to stay on loopback."""
    return {
        "JAVA_HOME": str(find_java(settings)),
        "SPARK_HOME": str(home()),
        "SPARK_CONF_DIR": str(configuration.path(settings, FOLDER)),
        "SPARK_LOCAL_IP": settings.spark_driver_host or settings.host,
        "SPARK_LOCAL_DIRS": str(settings.state_dir / FOLDER / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
    }


def master_command(settings: Settings) -> Command:
    """The master; submission over REST would ask nobody who they are."""
    ports = ("--port", str(settings.port("spark_master")), "--webui-port", str(settings.port("spark_master_ui")))
    return _daemon(settings, "master.Master", ports, "-Dspark.master.rest.enabled=false")


def worker_command(settings: Settings) -> Command:
    """The worker; what its jobs leave behind is removed after a day."""
    ports = ("--port", str(settings.port("spark_worker")), "--webui-port", str(settings.port("spark_worker_ui")))
    size = ("--cores", str(WORKER_CORES), "--memory", settings.spark_worker_memory)
    work = ("--work-dir", str(settings.state_dir / FOLDER / "work"), settings.batch_spark_master)
    return _daemon(
        settings,
        "worker.Worker",
        (*ports, *size, *work),
        "-Dspark.worker.cleanup.enabled=true -Dspark.worker.cleanup.appDataTtl=86400",
    )


def prepare(settings: Settings) -> bool:
    """Write what spark-submit, master and worker read; True when it changed."""
    (settings.state_dir / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = configuration.path(settings, FOLDER)
    lines = [f"{name} {value}\n" for name, value in submit_properties(settings).items()]
    changed = [
        configuration.write(folder / "spark-defaults.conf", "".join(lines)),
        configuration.write(folder / "log4j2.properties", configuration.render("log4j2.properties", {})),
    ]
    return any(changed)


def ask_master(settings: Settings) -> str:
    """The embedded master's own report; a cluster that others run is only knocked at."""
    if settings.spark_master is not None:
        return _knock(settings.spark_master)
    report = _report(settings)
    if report["status"] != "ALIVE":
        raise ValueError(f"it is {report['status']}")
    return f"{report['status']}, {len(report['activeapps'])} running"


def ask_worker(settings: Settings) -> str:
    """What the master says of its workers."""
    if settings.spark_master is not None:
        return _knock(settings.spark_master)
    alive = [worker for worker in _report(settings)["workers"] if worker["state"] == "ALIVE"]
    if not alive:
        raise ValueError("the master knows no living worker")
    return f"{sum(worker['coresused'] for worker in alive)} of {sum(worker['cores'] for worker in alive)} cores used"


def _daemon(settings: Settings, name: str, arguments: tuple[str, ...], options: str) -> Command:
    short = name.partition(".")[0].upper()
    variables = {**environment(settings), f"SPARK_{short}_OPTS": f"{options} -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
    line = (str(home() / "bin" / "spark-class"), f"{_DEPLOY}.{name}", "--host", settings.host, *arguments)
    return Command(line, variables)


def _report(settings: Settings) -> dict[str, Any]:
    report: dict[str, Any] = health.get_json(f"http://{settings.host}:{settings.port('spark_master_ui')}/json/")
    return report


def _knock(master: str) -> str:
    """Connect to the first host of `spark://host:port,…`; of other kinds of cluster nothing is asked."""
    scheme, _, hosts = master.partition("://")
    if scheme != "spark":
        return master
    host, _, port = hosts.partition(",")[0].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=health.REQUEST_SECONDS):
        return f"{host}:{port} listens"
