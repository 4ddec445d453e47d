"""The friendly case and the unfriendly one in one run: how much more a batch costs where everything is against it.

Friendly are integer keys in the order of the rows, in few files, all of them held in memory. Unfriendly are uuids,
which lie in every file, thousands of small files, and memory for a quarter of the keys. Small files are merged after
each batch, as the stream does it, so the unfriendly table gets better from batch to batch; every batch is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from bench.accounting import Watched
from bench.apply import COMPONENTS, OURSELVES, Round, round_of, settle
from bench.machine import Machine, describe, load_average
from bench.trips import KEY, Keys, Shape, batches, source, trips
from bench.writers import NAMESPACE, ROWS_PER_FILE, KeyLookup, drop, fill, make
from catalog.session import spark_session
from catalog.settings import CATALOG, Settings
from streaming.files import KeyCache
from streaming.iceberg import IcebergTable, Lake
from streaming.keys import bytes_of_a_row

CACHE_SHARE = 0.25

Report = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A table of `rows` trips in `files` files, and the memory for its keys."""

    name: str
    keys: Keys
    rows: int
    files: int
    cache_bytes: int

    @property
    def identifier(self) -> str:
        """Its table."""
        return f"{NAMESPACE}.{self.name}"

    def parts(self) -> Iterator[pa.Table]:
        """The rows, file by file."""
        for n in range(self.files):
            start, end = n * self.rows // self.files, (n + 1) * self.rows // self.files
            yield trips(start, end - start, self.keys)


@dataclass(frozen=True)
class Hard:
    """A whole run: each case's batches in turn. The `first` finds the tables as they were made, and Java cold.

    `equal` is whether both tables hold the same trips but for the key.
    """

    changes: int
    cases: tuple[Case, Case]
    first: tuple[Round, Round]
    rounds: tuple[tuple[Round, Round], ...]
    files_left: tuple[int, int]
    equal: bool
    peak_memory: dict[str, int]
    machine: Machine

    def ratios(self) -> list[float]:
        """By batch after the first, CPU-seconds of the unfriendly case over those of the friendly one."""
        return [hard.cpu / friendly.cpu for friendly, hard in self.rounds]

    @property
    def ratio(self) -> float:
        """The same over all these batches together."""
        return sum(hard.cpu for _, hard in self.rounds) / sum(friendly.cpu for friendly, _ in self.rounds)


def compare(
    settings: Settings, rows: int, files: int, changes: int, rounds: int, report: Report = lambda phase: None
) -> Hard:
    """Apply the same batches in both cases; needs store and REST catalog. The tables are dropped at the end.

    Raises ComponentError, ConfigurationError.
    """
    load_before = load_average()
    report("starting Spark")
    lake = Lake(spark_session(settings, "lakehouse bench"), settings)
    friendly = Case("friendly", Keys.INTEGER, rows, max(1, rows // ROWS_PER_FILE), settings.key_cache_bytes)
    uuids = source(Keys.UUID)
    needed = bytes_of_a_row(uuids.arrow_schema, uuids.key) * rows
    against = Case("hard", Keys.UUID, rows, files, round(CACHE_SHARE * needed))
    cases = (friendly, against)
    watched = Watched.of(settings, COMPONENTS, ourselves=OURSELVES)
    watched.forget_peaks()
    drop(lake)
    try:
        with ThreadPoolExecutor(8) as threads:
            tables = [_filled(lake, case, report) for case in cases]
            writers = [
                KeyLookup(table, case.keys, settings.small_files, KeyCache(case.cache_bytes), threads)
                for case, table in zip(cases, tables, strict=True)
            ]
            found = _measure(lake, watched, cases, writers, changes, rounds, report)
        report("comparing the tables")
        sums = {_sum(lake, case) for case in cases}
        left = [len(list(lake.table(case.identifier).live_files(KEY))) for case in cases]
    finally:
        drop(lake)
    peaks, machine = watched.peak_memory(), describe(settings, load_before)
    lake.spark.stop()
    return Hard(changes, cases, found[0], tuple(found[1:]), (left[0], left[1]), len(sums) == 1, peaks, machine)


def _filled(lake: Lake, case: Case, report: Report) -> IcebergTable:
    report(f"{case.rows:,} rows in {case.files:,} files, {case.keys.value} keys")
    table = make(lake, case.identifier, source(case.keys))
    fill([table], case.parts())
    return lake.table(case.identifier)


def _measure(
    lake: Lake,
    watched: Watched,
    cases: tuple[Case, Case],
    writers: list[KeyLookup],
    changes: int,
    rounds: int,
    report: Report,
) -> list[tuple[Round, Round]]:
    planned = [batches(case.rows, changes, Shape.UNIFORM, keys=case.keys) for case in cases]
    taken: list[list[Round]] = [[], []]
    for number in range(rounds + 1):
        for place, (case, writer) in enumerate(zip(cases, writers, strict=True)):
            report(f"{'warm-up' if number == 0 else f'batch {number} of {rounds}'}, {case.name}")
            writer.ready(next(planned[place]))
            settle(watched)
            with watched.spending() as spending:
                writer.apply()
            taken[place].append(round_of(lake, case.identifier, spending))
    return list(zip(*taken, strict=True))


def _sum(lake: Lake, case: Case) -> tuple[int, int]:
    """Rows, and the sum of their hashes without the key."""
    from pyspark.sql import functions as F

    names = [column.name for column in source(case.keys).columns if column.name != KEY]
    hashed = F.sum(F.xxhash64(*names).cast("decimal(38, 0)"))
    row = lake.spark.table(f"{CATALOG}.{case.identifier}").agg(F.count("*"), hashed).collect()[0]
    return int(row[0]), int(row[1] or 0)
