"""How much more a read costs of a table that is written to than of the same rows written afresh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import pyarrow as pa

from bench.accounting import Watched
from bench.apply import COMPONENTS, OURSELVES, settle
from bench.chain import Chain
from bench.latency import LONGEST_WAIT_SECONDS
from bench.machine import Machine, describe, load_average
from bench.trips import KEY, TRIPS, Keys, Shape, batches
from bench.writers import NAMESPACE, ROWS_PER_FILE, KeyLookup, WriterName, drop, fill, load, make
from catalog import trino
from catalog.readers import duckdb_connection
from catalog.session import spark_session
from catalog.settings import CATALOG, Settings
from connectors.load import load_trips
from connectors.traffic import run_traffic
from streaming.files import KeyCache
from streaming.iceberg import Lake

CHANGED, FRESH = WriterName.LOOKUP.table, f"{NAMESPACE}.fresh"
QUESTIONS = {
    "all rows, by zone": "select pickup_location_id, count(*), sum(total_amount) from {table} group by 1 order by 1",
    "a tenth of the keys": "select count(*), sum(fare_amount) from {table} where trip_id between {low} and {high}",
}

Report = Callable[[str], None]
Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Read:
    """One question to one engine: medians of both tables. CPU-seconds are those of engine, store and catalog."""

    engine: str
    question: str
    changed_seconds: float
    fresh_seconds: float
    changed_cpu: float
    fresh_cpu: float
    equal: bool

    @property
    def ratio(self) -> float:
        """Time on the changed table over time on the fresh one."""
        return self.changed_seconds / self.fresh_seconds


@dataclass(frozen=True)
class Reads:
    """A whole run. `history` says what the changed table went through; the counts and the bytes of metadata are its."""

    history: str
    files: int
    vectors: int
    snapshots: int
    metadata_bytes: int
    reads: tuple[Read, ...]
    machine: Machine


def measure(
    settings: Settings, rows: int, epochs: int, changes: int, rounds: int, report: Report = lambda phase: None
) -> Reads:
    """Change a table, write its rows afresh, and ask both; needs store and REST catalog. Both are dropped at the end.

    Trino is asked where it runs. Raises ComponentError, ConfigurationError.
    """
    with _lake(settings, report) as (lake, load_before):
        report(f"{rows:,} rows, then {epochs} epochs of {changes:,} changes")
        load(lake, [WriterName.LOOKUP], rows)
        _change(lake, settings, rows, epochs, changes)
        history = f"{rows:,} rows after {epochs} epochs of {changes:,} random changes"
        return _compared(lake, settings, CHANGED, history, rounds, load_before, report)


def measure_live(
    settings: Settings, minutes: float, rate: float, rounds: int, report: Report = lambda phase: None
) -> Reads:
    """The same of the trips' mirror after traffic of `rate` changes a second; needs the whole stack."""
    chain = Chain(settings)
    chain.require_running()
    load_trips(settings)
    report(f"{minutes:g} minutes of traffic at {rate:g} changes a second")
    counts = run_traffic(settings, rate, minutes * 60, seed=3)
    report("waiting for the last change")
    chain.await_kafka(LONGEST_WAIT_SECONDS)
    chain.await_applied()
    with _lake(settings, report) as (lake, load_before):
        history = f"the trips' mirror after {counts.changes:,} changes in {minutes:g} minutes"
        return _compared(lake, settings, TRIPS.mirror, history, rounds, load_before, report)


@contextmanager
def _lake(settings: Settings, report: Report) -> Iterator[tuple[Lake, float]]:
    load_before = load_average()
    report("starting Spark")
    lake = Lake(spark_session(settings, "lakehouse bench"), settings)
    drop(lake)
    try:
        yield lake, load_before
    finally:
        drop(lake)
        lake.spark.stop()


def _compared(
    lake: Lake, settings: Settings, changed: str, history: str, rounds: int, load_before: float, report: Report
) -> Reads:
    report("writing the rows afresh")
    fill([make(lake, FRESH, TRIPS)], _sorted_rows(settings, changed))
    table = lake.table(changed)
    files, keys = list(table.live_files(KEY)), _range(settings)
    with ExitStack() as opened:
        engines = _engines(lake, settings, opened)
        watched = Watched.of(settings, (*COMPONENTS, "trino"), ourselves=OURSELVES)
        reads = [
            _read(watched, engine, ask, question, (changed, FRESH), keys, rounds, report)
            for engine, ask in engines.items()
            for question in QUESTIONS
        ]
    return Reads(
        history,
        len(files),
        sum(file.vector is not None for file in files),
        int(table.java.operations().current().snapshots().size()),
        len(lake.package.TableMetadataParser.toJson(table.java.operations().current())),
        tuple(reads),
        describe(settings, load_before),
    )


def _range(settings: Settings) -> dict[str, int]:
    """A tenth of the keys, in the middle."""
    with duckdb_connection(settings) as connection:
        rows = len(connection.table(f"{CATALOG}.{FRESH}"))
    return {"low": rows // 2, "high": rows // 2 + rows // 10}


def _change(lake: Lake, settings: Settings, rows: int, epochs: int, changes: int) -> None:
    with ThreadPoolExecutor(8) as threads:
        cache = KeyCache(settings.key_cache_bytes)
        writer = KeyLookup(lake.table(CHANGED), Keys.INTEGER, settings.small_files, cache, threads)
        for _, batch in zip(range(epochs), batches(rows, changes, Shape.UNIFORM), strict=False):
            writer.ready(batch)
            writer.apply()


def _sorted_rows(settings: Settings, changed: str) -> Iterator[pa.Table]:
    """The changed table's rows in key order, a file at a time."""
    with duckdb_connection(settings) as connection:
        rows = connection.table(f"{CATALOG}.{changed}").order(KEY).to_arrow_table()
    yield from (rows.slice(start, ROWS_PER_FILE) for start in range(0, len(rows), ROWS_PER_FILE))


def _engines(lake: Lake, settings: Settings, opened: ExitStack) -> dict[str, Ask]:
    duckdb = opened.enter_context(duckdb_connection(settings))
    engines: dict[str, Ask] = {
        "DuckDB": lambda query: duckdb.execute(query).fetchall(),
        "Spark": lambda query: [tuple(row) for row in lake.spark.sql(query).collect()],
    }
    if not trino.absence(settings):
        connection = trino.trino_connection(settings)
        opened.callback(connection.close)
        engines["Trino"] = lambda query: list(zip(*trino.fetch(connection, query).to_pydict().values(), strict=True))
    return engines


def _read(
    watched: Watched,
    engine: str,
    ask: Ask,
    question: str,
    tables: tuple[str, str],
    keys: dict[str, int],
    rounds: int,
    report: Report,
) -> Read:
    report(f"{engine}: {question}")
    seconds: dict[str, list[float]] = {table: [] for table in tables}
    cpu: dict[str, list[float]] = {table: [] for table in tables}
    answers: dict[str, list[tuple[Any, ...]]] = {}
    for _ in range(rounds + 1):
        for table in tables:
            query = QUESTIONS[question].format(table=f"{CATALOG}.{table}", **keys)
            settle(watched)
            with watched.spending() as spending:
                answers[table] = ask(query)
            seconds[table].append(spending.wall_seconds)
            cpu[table].append(sum(spending.cpu_seconds.values()))
    (changed, changed_cpu), (fresh, fresh_cpu) = (
        (median(seconds[table][1:]), median(cpu[table][1:])) for table in tables
    )
    return Read(engine, question, changed, fresh, changed_cpu, fresh_cpu, answers[tables[0]] == answers[tables[1]])
