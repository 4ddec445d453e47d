"""What figures were taken on: date, processors, load and versions."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import psycopg

from catalog.settings import PROJECT, Settings

_JARS = {
    "iceberg": ("spark", r"iceberg-spark-runtime-[\d.]+_[\d.]+-(\d[\d.]*\d)\.jar"),
    "kafka": ("kafka", r"connect-runtime-(\d[\d.]*\d)\.jar"),
    "debezium": ("plugins/debezium-connector-postgres", r"debezium-connector-postgres-(\d.*)\.jar"),
}


@dataclass(frozen=True)
class Machine:
    """Where and when a run was made; loads are 1-minute averages, other work on the machine included."""

    date: str
    processors: int
    memory_bytes: int
    load_before: float
    load_after: float
    versions: dict[str, str]


def load_average() -> float:
    """Processes that ran or waited to run, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def describe(settings: Settings, load_before: float) -> Machine:
    """The machine now, at the end of a run that began under `load_before`."""
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        processors=os.cpu_count() or 0,
        memory_bytes=psutil.virtual_memory().total,
        load_before=load_before,
        load_after=load_average(),
        versions={
            "python": platform.python_version(),
            **{name: _package(name) for name in ("pyspark", "pyarrow", "numpy")},
            **{name: _jar(PROJECT / "jars" / "lib" / folder, pattern) for name, (folder, pattern) in _JARS.items()},
            "postgres": _postgres(settings),
            settings.object_store: _package(f"{settings.object_store}-bin"),
        },
    )


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _jar(folder: Path, pattern: str) -> str:
    found = [match[1] for path in folder.glob("*.jar") if (match := re.fullmatch(pattern, path.name))]
    return found[0] if found else "unknown"


def _postgres(settings: Settings) -> str:
    try:
        with psycopg.connect(settings.source_dsn("cdc"), connect_timeout=5) as connection:
            number = connection.info.server_version
    except psycopg.OperationalError:
        return "unknown"
    return f"{number // 10000}.{number % 10000}"
