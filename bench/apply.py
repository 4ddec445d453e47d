"""What a batch of changes costs, by writer and size of the table. All writers get the same tables and batches."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.accounting import Spending, Watched
from bench.machine import Machine, describe, load_average
from bench.trips import TRIPS, Shape, batches
from bench.writers import Writer, WriterName, drop, load, writer
from catalog.session import spark_session
from catalog.settings import CATALOG, Settings
from streaming.iceberg import Lake

COMPONENTS = ("store", "catalog", "postgres")
OURSELVES = "writer"
QUIET_SHARE, QUIET_SECONDS, LONGEST_SETTLE_SECONDS = 0.1, 0.3, 10.0
"""Before each batch the virtual machine must have used less than this share of a processor for so long, so that what
the batch before left to compile and to collect is not counted to this one."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Round:
    """One batch by one writer. `touched` counts data files that got a new vector or were replaced."""

    wall_seconds: float
    cpu_seconds: dict[str, float]
    bytes_written: int
    files_written: int
    files_touched: int

    @property
    def cpu(self) -> float:
        """CPU-seconds over all processes."""
        return sum(self.cpu_seconds.values())


@dataclass(frozen=True)
class Result:
    """One writer on a table of `rows` rows: its first batch, then the medians over the counted rounds."""

    writer: WriterName
    rows: int
    changes: int
    first: Round
    median: Round
    rounds: tuple[Round, ...]


@dataclass(frozen=True)
class Comparison:
    """A whole run. `equal` is by rows whether all writers ended with the same table."""

    shape: Shape
    changes: int
    results: tuple[Result, ...]
    equal: dict[int, bool]
    load_seconds: dict[int, float]
    peak_memory: dict[str, int]
    machine: Machine

    def ratios(self, rows: int) -> dict[WriterName, float]:
        """By rival, its CPU-seconds over those of key lookup; empty when key lookup did not run."""
        cpu = {found.writer: found.median.cpu for found in self.results if found.rows == rows}
        ours = cpu.pop(WriterName.LOOKUP, 0.0)
        return {name: theirs / ours for name, theirs in cpu.items()} if ours else {}

    def growth(self) -> dict[WriterName, float]:
        """By writer, CPU-seconds on the largest table over those on the smallest."""
        sizes = sorted({found.rows for found in self.results})
        cpu = {(found.writer, found.rows): found.median.cpu for found in self.results}
        names = dict.fromkeys(found.writer for found in self.results)
        return {name: cpu[name, sizes[-1]] / cpu[name, sizes[0]] for name in names if cpu[name, sizes[0]]}


def compare(
    settings: Settings,
    sizes: Sequence[int],
    changes: int,
    rounds: int,
    shape: Shape,
    names: Sequence[WriterName],
    report: Report = lambda phase: None,
    also: Mapping[str, int] | None = None,
) -> Comparison:
    """Measure every writer on tables of each size; needs store and REST catalog. The tables are dropped at the end.

    `also` are further processes to count, by name: those of a cluster. Raises ComponentError, ConfigurationError.
    """
    load_before = load_average()
    report("starting Spark")
    lake = Lake(spark_session(settings, "lakehouse bench"), settings)
    components = Watched.of(settings, COMPONENTS, ourselves=OURSELVES)
    watched = replace(components, pids={**components.pids, **(also or {})})
    results: list[Result] = []
    equal, load_seconds = {}, {}
    watched.forget_peaks()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as threads:
        for rows in sizes:
            drop(lake)
            try:
                report(f"{rows:,} rows: loading {len(names)} tables")
                began = time.monotonic()
                load(lake, names, rows)
                load_seconds[rows] = round(time.monotonic() - began, 2)
                writers = {name: writer(name, lake, settings, Path(folder), threads) for name in names}
                results += _measure(lake, watched, writers, rows, changes, rounds, shape, report)
                report(f"{rows:,} rows: comparing the tables")
                equal[rows] = len({_sums(lake, name) for name in names}) == 1
            finally:
                drop(lake)
    peaks, machine = watched.peak_memory(), describe(settings, load_before)
    lake.spark.stop()
    return Comparison(shape, changes, tuple(results), equal, load_seconds, peaks, machine)


def _measure(
    lake: Lake,
    watched: Watched,
    writers: dict[WriterName, Writer],
    rows: int,
    changes: int,
    rounds: int,
    shape: Shape,
    report: Report,
) -> list[Result]:
    """A warm-up round, then the counted ones; in each round every writer gets the same batch, one after the other."""
    taken: dict[WriterName, list[Round]] = {name: [] for name in writers}
    for number, batch in zip(range(rounds + 1), batches(rows, changes, shape), strict=False):
        for name, each in writers.items():
            report(f"{rows:,} rows: {'warm-up' if number == 0 else f'round {number} of {rounds}'}, {name.words}")
            each.ready(batch)
            settle(watched)
            with watched.spending() as spending:
                each.apply()
            taken[name].append(round_of(lake, name.table, spending))
    return [Result(name, rows, changes, all_[0], _median(all_[1:]), tuple(all_[1:])) for name, all_ in taken.items()]


def settle(watched: Watched) -> None:
    """Wait until the virtual machine rests."""
    deadline = time.monotonic() + LONGEST_SETTLE_SECONDS
    while time.monotonic() < deadline:
        with watched.spending() as idle:
            time.sleep(QUIET_SECONDS)
        if idle.cpu_seconds.get(f"{OURSELVES} (JVM)", 0.0) < QUIET_SHARE * QUIET_SECONDS:
            return


def round_of(lake: Lake, identifier: str, spending: Spending) -> Round:
    """What a batch took, and what its last commit wrote."""
    summary = dict(lake.table(identifier).java.currentSnapshot().summary())
    counts = {key: int(value) for key, value in summary.items() if str(value).isdigit()}
    written = counts.get("added-data-files", 0) + counts.get("added-delete-files", 0)
    touched = counts.get("deleted-data-files", 0) + counts.get("added-delete-files", 0)
    return Round(spending.wall_seconds, spending.cpu_seconds, counts.get("added-files-size", 0), written, touched)


def _median(rounds: Sequence[Round]) -> Round:
    return Round(
        median(each.wall_seconds for each in rounds),
        {name: median(each.cpu_seconds[name] for each in rounds) for name in rounds[0].cpu_seconds},
        round(median(each.bytes_written for each in rounds)),
        round(median(each.files_written for each in rounds)),
        round(median(each.files_touched for each in rounds)),
    )


def _sums(lake: Lake, name: WriterName) -> tuple[int, int]:
    """Rows of a table, and the sum of their hashes."""
    from pyspark.sql import functions as F

    hashed = F.xxhash64(*(column.name for column in TRIPS.columns)).cast("decimal(38, 0)")
    row = lake.spark.table(f"{CATALOG}.{name.table}").agg(F.count("*"), F.sum(hashed)).collect()[0]
    return int(row[0]), int(row[1] or 0)
