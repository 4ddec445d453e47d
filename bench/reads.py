"""How much more a read costs after epochs of random changes than from the same rows written afresh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import pyarrow as pa

from bench.accounting import Watched
from bench.apply import COMPONENTS, OURSELVES, settle
from bench.machine import Machine, describe, load_average
from bench.trips import KEY, TRIPS, Keys, Shape, batches
from bench.writers import NAMESPACE, ROWS_PER_FILE, KeyLookup, WriterName, drop, fill, load, make
from catalog import trino
from catalog.readers import duckdb_connection
from catalog.session import spark_session
from catalog.settings import CATALOG, Settings
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
    """A whole run. `files` and `vectors` are those of the changed table after its epochs."""

    rows: int
    epochs: int
    changes: int
    files: int
    vectors: int
    reads: tuple[Read, ...]
    machine: Machine


def measure(
    settings: Settings, rows: int, epochs: int, changes: int, rounds: int, report: Report = lambda phase: None
) -> Reads:
    """Change a table, write its rows afresh, and ask both; needs store and REST catalog. Both are dropped at the end.

    Trino is asked where it runs. Raises ComponentError, ConfigurationError.
    """
    load_before = load_average()
    report("starting Spark")
    lake = Lake(spark_session(settings, "lakehouse bench"), settings)
    drop(lake)
    try:
        report(f"{rows:,} rows, then {epochs} epochs of {changes:,} changes")
        load(lake, [WriterName.LOOKUP], rows)
        _change(lake, settings, rows, epochs, changes)
        report("writing the rows afresh")
        fill([make(lake, FRESH, TRIPS)], _sorted_rows(settings))
        files = list(lake.table(CHANGED).live_files(KEY))
        with ExitStack() as opened:
            engines = _engines(lake, settings, opened)
            watched = Watched.of(settings, (*COMPONENTS, "trino"), ourselves=OURSELVES)
            reads = [
                _read(watched, engine, ask, question, rows, rounds, report)
                for engine, ask in engines.items()
                for question in QUESTIONS
            ]
    finally:
        drop(lake)
    machine = describe(settings, load_before)
    lake.spark.stop()
    vectors = sum(file.vector is not None for file in files)
    return Reads(rows, epochs, changes, len(files), vectors, tuple(reads), machine)


def _change(lake: Lake, settings: Settings, rows: int, epochs: int, changes: int) -> None:
    with ThreadPoolExecutor(8) as threads:
        cache = KeyCache(settings.key_cache_bytes)
        writer = KeyLookup(lake.table(CHANGED), Keys.INTEGER, settings.small_files, cache, threads)
        for _, batch in zip(range(epochs), batches(rows, changes, Shape.UNIFORM), strict=False):
            writer.ready(batch)
            writer.apply()


def _sorted_rows(settings: Settings) -> Iterator[pa.Table]:
    """The changed table's rows in key order, a file at a time."""
    with duckdb_connection(settings) as connection:
        rows = connection.table(f"{CATALOG}.{CHANGED}").order(KEY).to_arrow_table()
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


def _read(watched: Watched, engine: str, ask: Ask, question: str, rows: int, rounds: int, report: Report) -> Read:
    report(f"{engine}: {question}")
    seconds: dict[str, list[float]] = {CHANGED: [], FRESH: []}
    cpu: dict[str, list[float]] = {CHANGED: [], FRESH: []}
    answers: dict[str, list[tuple[Any, ...]]] = {}
    for _ in range(rounds + 1):
        for table in seconds:
            query = QUESTIONS[question].format(table=f"{CATALOG}.{table}", low=rows // 2, high=rows // 2 + rows // 10)
            settle(watched)
            with watched.spending() as spending:
                answers[table] = ask(query)
            seconds[table].append(spending.wall_seconds)
            cpu[table].append(sum(spending.cpu_seconds.values()))
    taken = {table: (median(seconds[table][1:]), median(cpu[table][1:])) for table in seconds}
    (changed, changed_cpu), (fresh, fresh_cpu) = taken[CHANGED], taken[FRESH]
    return Read(engine, question, changed, fresh, changed_cpu, fresh_cpu, answers[CHANGED] == answers[FRESH])
