"""Demand predictions as a table: of each zone and hour the newest, those of past hours as they were made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from batch import control, quality
from batch.job import Job
from batch.loading import ensure_table, replace
from batch.models import demand
from batch.models.calendar import AHEAD, HOUR, NEW_YORK, Span
from batch.models.features import statement
from batch.models.training import Columns, Model, utc
from catalog.tables.ml import DEMAND_PREDICTIONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WEEK = timedelta(weeks=1)


def publish_predictions(job: Job, model: Model, span: Span, now: datetime) -> int:
    """Foresee the hour that runs and the 24 after it, and publish that; returns the snapshot.

    A day is replaced as a whole and keeps, of each zone and hour, what was made last: in whatever order runs come, and
    however often, the rows are the same.
    """
    started = datetime.now(UTC)
    made_at = now.replace(minute=0, second=0, microsecond=0)
    weeks = weeks_between(span.known_until, made_at)
    rows = demand.predict(job.settings, model, span.origin, moved(made_at, -weeks))
    made = _table(rows, made_at, weeks, span.origin, model.version)
    ensure_table(job.spark, DEMAND_PREDICTIONS)
    days = _days(made_at)
    candidate = _newest(job.spark.createDataFrame(made), days).localCheckpoint()
    findings = quality.check(DEMAND_PREDICTIONS, candidate)
    control.record_findings(job, DEMAND_PREDICTIONS, made_at.isoformat(), findings)
    quality.require(DEMAND_PREDICTIONS, made_at.isoformat(), findings)
    snapshot = replace(job.spark, DEMAND_PREDICTIONS, candidate, days)
    control.record_runs(
        job.settings,
        [
            {
                "run_id": job.run.id,
                "dataset": DEMAND_PREDICTIONS.identifier,
                "interval": made_at.isoformat(),
                "source": model.version,
                "rows_in": made.num_rows,
                "accepted": made.num_rows,
                "quarantined": 0,
                "snapshot_id": snapshot,
                "status": "success",
                "started_at": started,
                "finished_at": datetime.now(UTC),
            }
        ],
    )
    return snapshot


def weeks_between(known_until: datetime, now: datetime) -> int:
    """The fewest whole weeks that bring `now`, moved back, to a time at which the record is still known."""
    weeks = max(0, -((known_until - now) // WEEK))
    return weeks if moved(now, -weeks) <= known_until else weeks + 1  # the clocks may have changed in between


def moved(time: datetime, weeks: int) -> datetime:
    """The time so many weeks later by the clocks of New York, in UTC."""
    local = time.astimezone(NEW_YORK).replace(tzinfo=None)
    return (local + weeks * WEEK).replace(tzinfo=NEW_YORK).astimezone(UTC)


def _table(rows: Columns, made_at: datetime, weeks: int, origin: str, version: str) -> pa.Table:
    """The rows under the declared columns; every hour from `made_at` on takes those of its hour so many weeks ago."""
    hours: dict[datetime, list[datetime]] = {}
    for number in range(AHEAD // HOUR + 1):
        hour = made_at + number * HOUR
        hours.setdefault(moved(hour, -weeks), []).append(hour)
    place = {utc(hour): np.flatnonzero(rows["hour"] == hour) for hour in np.unique(rows["hour"])}
    chosen = [(hour, place[source]) for source, ahead in hours.items() for hour in ahead if source in place]
    order = np.concatenate([places for _, places in chosen])
    columns: dict[str, Any] = {
        name: pa.array(_nullable(column[order])) for name, column in rows.items() if name != "hour"
    }
    columns["prediction_hour"] = pa.array([hour for hour, places in chosen for _ in places], pa.timestamp("us", "UTC"))
    columns["weather_derived"] = columns["weather_derived"].cast(pa.bool_())
    same = {"origin": origin, "shift_weeks": weeks, "model_version": version, "made_at": made_at}
    return pa.table(columns | {name: pa.array([value] * len(order)) for name, value in same.items()})


def _nullable(column: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(column, from_pandas=True)


def _days(made_at: datetime) -> str:
    """The UTC days of the hours that are foreseen, as a condition of Spark SQL."""
    first, last = (time.strftime("%Y-%m-%d 00:00:00Z") for time in (made_at, made_at + AHEAD + timedelta(days=1)))
    return f"prediction_hour >= timestamp'{first}' and prediction_hour < timestamp'{last}'"


def _newest(made: DataFrame, days: str) -> DataFrame:
    """What stands in these days with what was made now: of each zone and hour what was made last, now if at once."""
    made.select(*DEMAND_PREDICTIONS.column_names).createOrReplaceTempView("made_now")
    made.sparkSession.table(DEMAND_PREDICTIONS.identifier).where(days).createOrReplaceTempView("made_before")
    return made.sparkSession.sql(statement("newest_predictions"))
