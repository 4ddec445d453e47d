"""Source tables of the tests' own, all joined to the stream at once, each used by one test; jobs for batch steps.

Makes modules beside the tests importable, which importlib mode does not.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from batch.job import Job, Run
from catalog.errors import ConfigurationError
from catalog.java import TRINO, find_java
from catalog.session import spark_session
from stack.supervision import Supervisor

sys.path.append(str(Path(__file__).parent))

COLUMNS = {
    "tokens": "id uuid primary key, label text",
    "depots": "id int primary key, name text",
    "retyped": "id int primary key, amount int",
    "poisoned": "id int primary key, amount int, at timestamptz",
    "settled": "id int primary key, amount int",
    "recreated": "id int primary key, label text",
    "shortened": "id int primary key, label text",
    "read_by_all": "id int primary key, fare numeric(8, 2), zone text, at timestamptz, tags text[]",
    "spread": "id int primary key, label text",
    "dated": "id int primary key, amount int, note text",
    "lived": "id int primary key, amount int, note text",
    "watched": "id int primary key",
}
OTHER_SCHEMA = ("depots",)
JOIN_SECONDS = 180.0


@dataclass(frozen=True)
class Joined:
    """The tables by their plain name, and the process that streamed before they were there."""

    suffix: str
    pid_before: int

    def __getitem__(self, name: str) -> str:
        return f"{'other' if name in OTHER_SCHEMA else 'public'}.{name}_{self.suffix}"

    def mirror(self, name: str) -> str:
        return f"{'other__' if name in OTHER_SCHEMA else ''}{name}_{self.suffix}"

    def topic(self, name: str) -> str:
        return f"lakehouse.{self[name].removeprefix('public.')}"


@pytest.fixture(scope="session")
def joined(stack) -> Iterator[Joined]:
    """Make the tables, publish them and connect again, as a person would."""
    stack.until(lambda: stack.status().get("state") == "running", "the stream runs")
    made = Joined(uuid4().hex[:6], stack.status()["pid"])
    statements = ["create schema if not exists other", "grant usage on schema other to cdc"]
    for name, columns in COLUMNS.items():
        table = made[name]
        statements += [f"create table {table} ({columns})", f"grant select on {table} to cdc"]
        statements.append(f"alter table {table} replica identity full")
    tables = ", ".join(made[name] for name in COLUMNS)
    stack.execute(*statements, f"alter publication {stack.settings.publication} add table {tables}")
    done = stack.lake("connect")
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = {made[name] for name in COLUMNS}
    stack.until(lambda: wanted <= _running(stack.status().get("tables", {})), "the new tables are copied", JOIN_SECONDS)
    yield made
    stack.execute(f"alter publication {stack.settings.publication} drop table {tables}", f"drop table {tables}")
    assert stack.lake("connect").returncode == 0


def _running(tables: Mapping[str, Any]) -> set[str]:
    return {name for name, table in tables.items() if table["state"] == "running"}


@pytest.fixture
def produce(stack) -> Iterator[Callable[[str, bytes | None, bytes | None], int]]:
    """Puts a record into a topic, as a broken program would; returns its offset."""
    producer = Producer({"bootstrap.servers": stack.settings.kafka})

    def send(topic: str, key: bytes | None, value: bytes | None) -> int:
        sent: list[Any] = []
        producer.produce(topic, value, key, on_delivery=lambda error, message: sent.append(error or message.offset()))
        assert producer.flush(30) == 0
        assert isinstance(sent[0], int), sent[0]
        return sent[0]

    yield send
    producer.flush(10)


def envelope(table: str, op: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, lsn: int) -> bytes:
    """A change event as Debezium writes it."""
    schema, name = table.split(".")
    source = {
        "schema": schema, "table": name, "lsn": lsn, "txId": 1, "ts_us": time.time_ns() // 1000,
        "sequence": f'["{lsn}","{lsn}"]', "snapshot": "false",
    }  # fmt: skip
    return json.dumps({"op": op, "before": before, "after": after, "source": source}).encode()


@pytest.fixture
def event(stack) -> Callable[..., bytes]:
    """Builds an envelope that stands at the source's present LSN."""

    def build(table: str, op: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bytes:
        ((lsn,),) = stack.source("select (pg_current_wal_insert_lsn() - '0/0')::bigint")
        return envelope(table, op, before, after, lsn)

    return build


@pytest.fixture(scope="session")
def spark(stack) -> Iterator[Any]:
    """The one Spark of this process: starting one takes longer than most steps."""
    session = spark_session(stack.settings, "batch tests", driver_memory="2g")
    yield session
    session.stop()


@pytest.fixture
def batch_job(stack, spark) -> Callable[..., Job]:
    """Makes the job of a step, `batch_job("taxi load", run, options={…}, tlc_source=folder)`.

    Jobs that share a run see each other's results; each call has a run of its own unless one is given. Keywords that
    Run does not have are settings. `batch.steps.run` runs the job.
    """

    def make(name: str, run: str | None = None, **given: Any) -> Job:
        of_run = {key: given.pop(key) for key in tuple(given) if key in Run.__dataclass_fields__}
        return Job(stack.settings.model_copy(update=given), Run(run or f"test/{uuid4().hex}", **of_run), name)

    return make


@pytest.fixture(scope="session")
def trino_missing(settings) -> str:
    """Why Trino cannot be run on this machine; empty where it can."""
    try:
        find_java(settings, TRINO)
    except ConfigurationError as missing:
        return str(missing)
    return ""


@pytest.fixture(scope="session")
def trino_server(stack, trino_missing) -> Iterator[None]:
    """Trino beside the shared stack, started once; without a JDK for it, what needs it is told as not run."""
    if trino_missing:
        pytest.skip(f"Trino is not run: {trino_missing}")
    done = stack.lake("up", "--with", "trino", seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    Supervisor(stack.settings).stop_program("trino")
