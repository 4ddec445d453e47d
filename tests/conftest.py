"""One embedded stack for the whole test session, and the ways in which tests look at it and act on it.

`--stack-dir` keeps a stack between sessions; without it everything is made in a temporary folder and taken away.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from catalog.errors import LakehouseError
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import PREFIX, PROJECT, Settings
from catalog.verification import VerificationReport, verify
from catalog.verification.barrier import topic_targets
from catalog.verification.realtime import RealtimeReport, verify_realtime
from connectors.load import load_trips
from connectors.setup import ensure_source
from connectors.traffic import Counts, run_traffic
from lake.stack import steps
from stack import control, ports, processes
from stack.components import COMPONENTS

TRIPS = 5_000
"""Real trips that are in the source before the connector is registered: the initial copy."""
EPOCH_RECORDS = 2_000
"""So that the copy takes several epochs."""
WAIT_SECONDS = 120.0
OFFSETS = (20_000, 10_000, 50_000, 40_000, 30_000)
"""First those whose ports lie below the ones that Linux gives to outgoing connections (from 32768 on)."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack-dir", type=Path, help="use the stack in this folder and leave it running")
    parser.addoption("--object-store", choices=["seaweedfs", "minio"], help="the store of every stack of the session")
    parser.addoption("--stack-offset", type=int, help="port offset of the stack; a free one by default")


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    if store := config.getoption("--object-store"):
        os.environ[f"{PREFIX}OBJECT_STORE"] = store


class Stack:
    """A running stack: every reader here is another engine than the stream that writes."""

    trips_before_the_copy = TRIPS

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find this stack and no other."""
        own = ("state_dir", "port_offset", "max_offsets_per_trigger")
        return {**os.environ, **{f"{PREFIX}{name}".upper(): str(getattr(self.settings, name)) for name in own}}

    def lake(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the command line as people do."""
        command = [sys.executable, "-P", "-m", "lake", *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=PROJECT, capture_output=True, text=True, timeout=seconds
        )

    def execute(self, *statements: str) -> None:
        """Run statements in the source as its owner, each in a transaction of its own unless they say otherwise."""
        with psycopg.connect(self.settings.source_dsn("taxi"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def source(self, query: str) -> list[tuple[Any, ...]]:
        """Ask Postgres."""
        with psycopg.connect(self.settings.source_dsn("taxi")) as connection:
            return connection.execute(query.encode()).fetchall()

    def lake_rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask DuckDB."""
        with duckdb_connection(self.settings, threads=1) as connection:
            columns = connection.execute(query).to_arrow_table().columns
            return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def iceberg(self, name: str) -> Any:
        """A table as pyiceberg sees it now."""
        return iceberg_catalog(self.settings).load_table(f"taxi_cdc.{name}")

    def changelog(self, name: str) -> list[tuple[Any, ...]]:
        """Operation, partition and offset of every event that came through Kafka, in topic order."""
        return self.lake_rows(
            f"select op, topic_partition, topic_offset from taxi_cdc.{name}_cdc"
            " where topic_offset is not null order by topic_offset"
        )

    def status(self) -> dict[str, Any]:
        """What the streaming job says of itself; empty before it first does."""
        try:
            found: dict[str, Any] = json.loads((self.settings.state_dir / "stream.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def table(self, name: str) -> dict[str, Any]:
        """What the streaming job says of `schema.table`."""
        found: dict[str, Any] = self.status().get("tables", {}).get(name, {})
        return found

    def states(self) -> dict[str, control.State]:
        """Every component by name."""
        return {state.name: state for state in control.states(self.settings)}

    def until(self, condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
        """The condition's first true answer; a component that is away for a moment is asked again."""
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                last = condition()
                if last:
                    return last
            except (LakehouseError, OSError, psycopg.OperationalError, ValueError) as away:
                last = away
            time.sleep(0.3)
        pytest.fail(f"after {seconds:.0f} s still not: {what}; last answer {last!r}; stream {self.status()}")

    def verified(self, *tables: str, seconds: float = WAIT_SECONDS) -> VerificationReport:
        """The report of a verification that found mirrors, changelogs and source equal."""
        report = verify(self.settings, tables or None, timeout=seconds)
        assert report.equal, json.dumps(report.as_json(), default=str, indent=1)
        return report

    def real_time_verified(self, seconds: float = WAIT_SECONDS) -> RealtimeReport:
        """The report of a recomputation from the mirror, at a barrier, that found the real-time tables equal."""
        self.verified("trips", seconds=seconds)
        topic = f"{self.settings.topic_prefix}.trips"
        report = verify_realtime(self.settings, topic_targets(self.settings, [topic])[topic], seconds)
        assert report.equal, report
        return report

    def traffic(self, changes: int, seed: int, rate: float = 200) -> Counts:
        """Real trips inserted, corrected and cancelled."""
        return run_traffic(self.settings, rate=rate, seconds=changes / rate, seed=seed)


_reserved: dict[int, int] = {}
"""Descriptors of locked files by offset that this session took: another session beside it takes another one."""


def _free_offset() -> int:
    """An offset at which no port of a stack is in use, from now on this session's."""
    for offset in OFFSETS:
        surveyed = ports.survey(COMPONENTS, Settings(_env_file=None, state_dir=Path("/nowhere"), port_offset=offset))
        if _is_ours(offset) and not any(port.holder for port in surveyed):
            return offset
    raise AssertionError("every port offset is in use on this machine: stop a stack with `lake down`")


def _is_ours(offset: int) -> bool:
    if offset not in _reserved:
        name = f"lakehouse-test-offset-{offset}-{os.getuid()}"
        file = os.open(Path(tempfile.gettempdir()) / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        _reserved[offset] = file
    return True


def _source_with_trips(settings: Settings) -> None:
    ensure_source(settings)
    load_trips(settings, TRIPS)


def bring_up(state_dir: Path, port_offset: int) -> Stack:
    """Up as `lake up` does it, with trips in the source before the connector copies it."""
    settings = Settings(
        _env_file=None, state_dir=state_dir, port_offset=port_offset, max_offsets_per_trigger=EPOCH_RECORDS
    )
    control.up(settings, then={**steps(), "postgres": _source_with_trips})
    return Stack(settings)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack that the session shares. Tests leave it running, with every table that is not theirs equal."""
    kept, offset = request.config.getoption("--stack-dir"), request.config.getoption("--stack-offset")
    if offset is None:
        offset = 0 if kept else _free_offset()
    if kept is not None:
        yield bring_up(kept, offset)
        return
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-test-"))
    own = Settings(_env_file=None, state_dir=folder / "state", port_offset=offset)
    try:
        yield bring_up(own.state_dir, offset)
    finally:
        control.down(own)
        assert not processes.leftovers(own)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def settings(stack: Stack) -> Settings:
    """The shared stack's settings."""
    return stack.settings


@pytest.fixture(scope="session")
def free_offset() -> Callable[[], int]:
    """Finds a port offset for one more stack."""
    return _free_offset
