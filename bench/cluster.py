"""A Spark standalone cluster on loopback for the length of a run: a master and workers of one core each.

It is as foreign to the driver as one elsewhere: processes of their own, in a folder of their own, that know nothing of
this project but what the driver sends them. They are told apart from other users' by a key made for the run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.process import free_port
from catalog.errors import ComponentError
from catalog.session import LOGGING
from catalog.settings import Settings
from stack import health, spark

WORKER_MEMORY, EXECUTOR_MEMORY = "3g", "2g"
START_SECONDS = 120.0
_DEPLOY = "org.apache.spark.deploy"


@dataclass(frozen=True)
class Cluster:
    """`settings` name it as the Spark master; `processes` are its own, by name."""

    settings: Settings
    processes: dict[str, int]


@contextmanager
def cluster(settings: Settings, workers: int) -> Iterator[Cluster]:
    """Run a cluster; without workers there is none, and Spark stays where the settings have it.

    Sessions must be started, and stopped, within the block. Raises ComponentError.
    """
    if not workers:
        yield Cluster(settings, {})
        return
    with tempfile.TemporaryDirectory(prefix="lakehouse-cluster-") as name, ExitStack() as opened:
        folder, host = Path(name), settings.host
        environment = _environment(settings, folder)
        port, ui = free_port(host), free_port(host)
        started = {"Spark master": ["master.Master", "--host", host, "--port", str(port), "--webui-port", str(ui)]}
        for number in range(1, workers + 1):
            size = ["--webui-port", "0", "--cores", "1", "--memory", WORKER_MEMORY]
            work = ["--work-dir", str(folder / f"worker-{number}"), f"spark://{host}:{port}"]
            started[f"Spark worker {number}"] = ["worker.Worker", "--host", host, *size, *work]
        log = opened.enter_context((folder / "log").open("wb"))
        processes = {}
        for title, (role, *options) in started.items():
            line = [str(spark.home() / "bin" / "spark-class"), f"{_DEPLOY}.{role}", *options]
            process = subprocess.Popen(line, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
            opened.callback(_end, process)
            processes[title] = process.pid
        _until_registered(f"http://{host}:{ui}/json/", workers, folder / "log")
        opened.enter_context(_configuration(folder))
        yield Cluster(settings.model_copy(update={"spark_master": f"spark://{host}:{port}"}), processes)


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    """Nothing of ours beside what Spark needs; the key is in a file for its owner's eyes only."""
    key = secrets.token_urlsafe(32)
    defaults = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": key,
        "spark.executor.memory": EXECUTOR_MEMORY,
        "spark.master.rest.enabled": "false",
    }
    (folder / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in defaults.items()))
    shutil.copy(LOGGING, folder / "log4j2.properties")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        **spark.environment(settings),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": settings.host,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
    }


@contextmanager
def _configuration(folder: Path) -> Iterator[None]:
    """Have sessions of this process read the cluster's key."""
    before = os.environ.get("SPARK_CONF_DIR")
    os.environ["SPARK_CONF_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["SPARK_CONF_DIR"]
        if before is not None:
            os.environ["SPARK_CONF_DIR"] = before


def _until_registered(address: str, workers: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _living(address) == workers:
            return
        time.sleep(0.3)
    told = log.read_text(errors="replace")[-500:]
    raise ComponentError(f"the Spark cluster did not come up: {told}", remedy="see whether memory and ports are free")


def _living(address: str) -> int:
    try:
        report: dict[str, Any] = health.get_json(address)
    except (httpx.HTTPError, ValueError):
        return 0
    return sum(worker["state"] == "ALIVE" for worker in report["workers"])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
