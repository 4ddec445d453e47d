"""The steps of the analytics DAG: are the sources there, compute every table, is the stream alive."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batch import control, quality
from batch.analytics.sources import snapshots, survey
from batch.analytics.stream import require_fresh
from batch.analytics.views import ORIGINS, create_views, statement
from batch.job import Job
from batch.loading import ensure_table, replace
from catalog.errors import QualityError
from catalog.tables.analytics import SURGE_INSIGHT, TRIP_WEATHER_CORRELATION, ZONE_PERFORMANCE_METRICS
from catalog.tables.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRANSFORMS = (TRIP_WEATHER_CORRELATION, ZONE_PERFORMANCE_METRICS, SURGE_INSIGHT)
"""Each is computed by the .sql file of its name."""
HELD_VIEWS = ("zone_hours", "covered_hours")
"""Computed once and held, in this order: all that the transforms need of the trips, from one pass over them."""


def available(job: Job) -> dict[str, Any]:
    """Which sources have rows, and of which time. Raises BatchError when one is missing or empty."""
    return survey(job.settings)


def realtime(job: Job) -> dict[str, Any]:
    """Position and freshness of mirror and real-time tables. Raises BatchError when they are stale; writes nothing."""
    return require_fresh(job.settings)


def transform(job: Job) -> dict[str, Any]:
    """Compute every table for every origin; rows published by table and origin.

    An origin of a table replaces itself in one commit, after its rows passed the table's rules.
    """
    held = snapshots(job.settings)
    origins = create_views(job)
    for name in HELD_VIEWS:
        job.spark.sql(statement(name)).localCheckpoint().createOrReplaceTempView(name)
    published: dict[str, Any] = {}
    for table in TRANSFORMS:
        ensure_table(job.spark, table)
        # held, so that both origins are checked and written from one computation
        rows = job.spark.sql(statement(table.name)).localCheckpoint()
        published[table.identifier] = {
            origin: publish(job, table, origin, rows, sources_of(held, origin)) for origin in origins
        }
    return published


def publish(job: Job, table: Table, origin: str, rows: DataFrame, source: str) -> int:
    """Replace one origin of a table by its share of `rows` and record the run; returns how many they are.

    Raises QualityError, after recording what was found, when they break a rule.
    """
    started, own = datetime.now(UTC), rows.where(f"origin = '{origin}'")
    findings = quality.check(table, own)
    control.record_findings(job, table, origin, findings)
    count = findings[0].rows
    run = {
        "run_id": job.run.id,
        "dataset": table.identifier,
        "interval": origin,
        "source": source,
        "rows_in": count,
        "quarantined": 0,
        "started_at": started,
    }
    try:
        quality.require(table, origin, findings)
    except QualityError as refused:
        failed = {**run, "status": "failed", "message": str(refused), "finished_at": datetime.now(UTC)}
        control.record_runs(job.settings, [failed])
        raise
    snapshot = replace(job.spark, table, own, f"origin = '{origin}'")
    done = {"accepted": count, "snapshot_id": snapshot, "status": "success", "finished_at": datetime.now(UTC)}
    control.record_runs(job.settings, [{**run, **done}])
    return count


def sources_of(held: dict[str, int], origin: str) -> str:
    """The tables that an origin's rows come from, each with its snapshot when `held` was read: `table@snapshot, …`."""
    other = {table for name, table in ORIGINS.items() if name != origin}
    return ", ".join(f"{table}@{snapshot}" for table, snapshot in held.items() if table not in other)
