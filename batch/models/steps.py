"""`models features`: the features of demand and fares, models where there are none, and what they foresee.

Demand is foreseen for the mirror's trips, or, as long as the mirror does not reach back far enough, for TLC's: then the
hours of now are taken to be those of the record so many whole weeks earlier, as the replay does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from batch.analytics.sources import snapshots
from batch.analytics.steps import publish, sources_of
from batch.analytics.views import create_views
from batch.job import Job
from batch.loading import ensure_table
from batch.models import demand, fare
from batch.models.calendar import Span
from batch.models.features import HISTORY, compute, spans
from batch.models.publishing import publish_predictions
from batch.models.registry import Registry
from batch.models.training import Model, Trained, as_columns
from catalog.errors import BatchError
from catalog.tables.ml import DEMAND_FEATURES, FARE_PREDICTIONS

ENOUGH = timedelta(days=56)
"""History that the mirror must have before demand is foreseen for its trips."""


def features(job: Job) -> dict[str, Any]:
    """Publish both tables of features and both of predictions; versions of the models used, by name.

    Option `now` (ISO 8601) or else the end of the run's interval stands for the present; `train=yes` trains anew;
    `history_days` limits what is looked at.
    Raises BatchError when a source is missing, QualityError when rows break a rule.
    """
    now = _now(job)
    held = snapshots(job.settings)
    create_views(job)
    found = spans(job.spark, now, _history(job))
    if not found:
        raise BatchError("no origin has a counted trip", remedy="run the DAG nyc_taxi_iceberg_etl first")
    for origin, span in found.items():
        ensure_table(job.spark, DEMAND_FEATURES)
        rows = compute(job.spark, DEMAND_FEATURES.name, span).localCheckpoint()
        publish(job, DEMAND_FEATURES, origin, rows, sources_of(held, origin))
    registry = Registry(job.settings)
    foreseen = _chosen(found)
    model = _model(
        job,
        registry,
        demand.name(foreseen.origin),
        demand.FEATURES,
        lambda: demand.train(job.settings, foreseen.origin),
    )
    publish_predictions(job, model, foreseen, now)
    fares = [_publish_fares(job, registry, span, sources_of(held, span.origin)) for span in found.values()]
    used = [each.version for each in (model, *fares) if each]
    return {"now": now.isoformat(), "origin": foreseen.origin, "models": used}


def _publish_fares(job: Job, registry: Registry, span: Span, source: str) -> Model | None:
    """Publish the fares of an origin; None, and nothing is published, while it has too few trips to learn from."""
    found = compute(job.spark, FARE_PREDICTIONS.name, span).where(f"origin = '{span.origin}'").toArrow()
    if found.num_rows < fare.FEWEST_TRIPS:
        return None
    found = found.sort_by([("pickup_at", "ascending"), ("trip", "ascending")])
    rows = as_columns(found, (*fare.KEYS, *fare.FEATURES))
    model = _model(job, registry, fare.name(span.origin), fare.FEATURES, lambda: fare.train(rows, span.origin))
    made = {name: pa.array(column) for name, column in fare.predict(model, rows).items()} | {
        "part": pa.array([each or None for each in fare.split_of(rows).part(rows["pickup_at"])], pa.string()),
        "model_version": pa.array([model.version] * found.num_rows),
    }
    for name, column in made.items():
        found = found.append_column(name, column)
    ensure_table(job.spark, FARE_PREDICTIONS)
    publish(job, FARE_PREDICTIONS, span.origin, job.spark.createDataFrame(found), source)
    return model


def _model(job: Job, registry: Registry, name: str, reads: tuple[str, ...], train: Callable[[], Trained]) -> Model:
    """The newest model of this name; trained now where there is none, or when the run asks for it."""
    newest = None if job.run.options.get("train") == "yes" else registry.newest(name, reads)
    return newest or registry.add(train(), job.run.id)


def _chosen(found: Mapping[str, Span]) -> Span:
    """Whose demand is foreseen: the mirror's if it reaches back far enough or is all there is."""
    mirror = found.get("cdc")
    if mirror and (mirror.known_until - mirror.first_hour >= ENOUGH or "tlc" not in found):
        return mirror
    return found["tlc"]


def _now(job: Job) -> datetime:
    if text := job.run.options.get("now"):
        return datetime.fromisoformat(text).astimezone(UTC)
    return job.run.interval_end or datetime.now(UTC)


def _history(job: Job) -> timedelta:
    days = job.run.options.get("history_days")
    return timedelta(days=int(days)) if days else HISTORY
