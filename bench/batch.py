"""What a month of taxi trips costs: checking it against its rules, publishing it, and computing the analytics.

The month is made: real trips of January 2019, repeated. It goes into a table of the benchmark's own, which is dropped
at the end. The analytics are computed from the tables as they stand, and replace themselves by the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as parquet

from batch import loading, quality
from batch.job import Job, Run
from batch.landing import land
from batch.steps import run
from batch.taxi.months import Month
from batch.taxi.splitting import accepted, judged, set_aside
from batch.taxi.tlc_file import TlcFile, read_footer
from bench.accounting import Watched
from bench.machine import Machine, describe, load_average
from catalog.errors import BatchError
from catalog.files import s3_files
from catalog.readers import iceberg_catalog
from catalog.settings import CATALOG, SAMPLE, Settings
from catalog.tables.nyc_taxi import TRIPS

MONTH = Month(2019, 1)
GROUP_ROWS = 1 << 20
"""Rows of a row group, as TLC writes them."""
COMPONENTS = ("store", "catalog", "postgres")
OURSELVES = "batch"
_TABLE = replace(TRIPS, namespace="bench", name="tlc_month")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One measured step over so many trips."""

    name: str
    rows: int
    wall_seconds: float
    cpu_seconds: dict[str, float]

    @property
    def rows_per_second(self) -> float:
        """Over the whole step."""
        return self.rows / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def cpu_per_million(self) -> float:
        """CPU-seconds over all processes per million trips."""
        return 1e6 * sum(self.cpu_seconds.values()) / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class BatchCosts:
    """A whole run. `rows` of the month, which is `origin`; `left_out` says why the analytics were not measured."""

    rows: int
    origin: str
    file_bytes: int
    steps: tuple[Step, ...]
    left_out: str | None
    peak_memory: dict[str, int]
    machine: Machine


def measure(settings: Settings, rows: int, report: Report = lambda phase: None) -> BatchCosts:
    """Measure each step once, on a warm Spark; needs store and REST catalog. Raises ComponentError, BatchError."""
    load_before = load_average()
    report(f"making a month of {rows:,} trips")
    job = Job(settings, Run(f"bench/{uuid4().hex}"), "analytics transform")
    with _month(settings, rows) as (file, size):
        report("starting Spark")
        _publish(job, replace(file, groups=file.groups[:1]))
        watched = Watched.of(settings, COMPONENTS, ourselves=OURSELVES)
        watched.forget_peaks()
        steps = [_timed(watched, "taxi validate", rows, lambda: _check(job, file), report)]
        steps.append(_timed(watched, "taxi load", rows, lambda: _publish(job, file), report))
        job.spark.sql(f"drop table {CATALOG}.{_TABLE.identifier} purge")
    trips, left_out = _trips_of_analytics(job), None
    try:
        steps.append(_timed(watched, "analytics transform", trips, lambda: run(job), report))
    except BatchError as not_ready:
        left_out = str(not_ready)
    peaks, machine = watched.peak_memory(), describe(settings, load_before)
    job.spark.stop()
    origin = f"made: 10,000 real trips of {MONTH}, repeated"
    return BatchCosts(rows, origin, size, tuple(steps), left_out, peaks, machine)


@contextmanager
def _month(settings: Settings, rows: int) -> Iterator[tuple[TlcFile, int]]:
    """A landed file of so many trips, and its bytes; removed at the end."""
    real = parquet.read_table(SAMPLE / "tlc" / f"yellow_tripdata_{MONTH}.parquet")
    repeated = pa.concat_tables([real] * -(-rows // real.num_rows)).slice(0, rows)
    content = BytesIO()
    parquet.write_table(repeated, content, row_group_size=GROUP_ROWS)
    content.seek(0)
    files, landed = s3_files(settings), land(settings, "bench", f"{MONTH}.parquet", content, "made")
    try:
        yield read_footer(files, landed), landed.size
    finally:
        files.delete_dir(f"{settings.bucket}/raw/bench")


def _timed(watched: Watched, name: str, rows: int, work: Callable[[], object], report: Report) -> Step:
    report(f"{name}: {rows:,} trips")
    with watched.spending() as spending:
        work()
    return Step(name, rows, spending.wall_seconds, spending.cpu_seconds)


def _check(job: Job, file: TlcFile) -> None:
    """What `taxi validate` computes."""
    rows = judged(job, file, MONTH).persist()
    set_aside(job, file, rows)
    quality.check(TRIPS, accepted(rows))
    rows.unpersist()


def _publish(job: Job, file: TlcFile) -> None:
    """What `taxi load` does, into the benchmark's own table."""
    loading.ensure_table(job.spark, _TABLE)
    rows = accepted(judged(job, file, MONTH))
    loading.replace(job.spark, _TABLE, rows, f"year = {MONTH.year} and month = {MONTH.number}")


def _trips_of_analytics(job: Job) -> int:
    """Trips that the analytics are computed from."""
    catalog, trips = iceberg_catalog(job.settings), 0
    for name in (TRIPS.identifier, "taxi_cdc.trips"):
        if catalog.table_exists(name):
            trips += job.spark.table(f"{CATALOG}.{name}").count()
    return trips
