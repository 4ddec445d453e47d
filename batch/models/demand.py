"""Demand: pickups of a zone in an hour, foreseen 24 hours before it begins, with an interval.

Boosted trees under Poisson's loss, one model for all zones, which differ by their past means. A model knows one origin:
the mirror may hold fewer or more trips than TLC's files.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from batch.models import intervals, scores
from batch.models.calendar import AHEAD, HOUR
from batch.models.scores import Numbers
from batch.models.training import Columns, Model, Trained, chosen, matrix, read, time_split, utc
from catalog.errors import BatchError
from catalog.settings import Settings
from catalog.tables.ml import DEMAND_FEATURES

WEATHER = ("temperature_celsius", "precipitation_mm", "wind_speed_kmh")
FEATURES = (
    "local_hour",
    "weekday",
    "is_holiday",
    "is_holiday_eve",
    "pickups_2_days_before",
    "pickups_1_week_before",
    "pickups_2_weeks_before",
    "pickups_last_day",
    "pickups_last_week",
    "pickups_last_4_weeks",
    "mean_pickups",
    "mean_at_hour",
    "mean_at_hour_of_week",
    "borough_mean_at_hour_of_week",
    "city_mean_at_hour_of_week",
    "city_pickups_last_day",
    "city_pickups_last_week",
    *WEATHER,
)
BASELINES = {
    "same hour last week": ("pickups_1_week_before", 1),
    "rolling mean of 7 days": ("pickups_last_week", 168),
    "zone mean": ("mean_pickups", 1),
    "zone mean of weekday and hour": ("mean_at_hour_of_week", 1),
}
"""Each is a feature, divided by a number of hours."""
PARAMETERS = {"learning_rate": 0.1, "max_iter": 300, "max_leaf_nodes": 31, "min_samples_leaf": 500, "max_bins": 128}
KEYS = ("hour", "location_id", "borough", "pickups", "weather_derived")
RECENT = timedelta(days=28)
"""How far back the usual weather and the share of intervals that held the truth look."""
FEWEST_HOURS = 7
"""Of one zone and hour of day, for a share that says anything."""


def name(origin: str) -> str:
    """Of the registered model."""
    return f"demand-{origin}"


def train(settings: Settings, origin: str, **parameters: float) -> Trained:
    """Fit on the features of `origin` and score on its last month; other `parameters` replace PARAMETERS.

    Raises BatchError when there is nothing to learn from.
    """
    found = read(settings, DEMAND_FEATURES, (*KEYS, *FEATURES), f"origin = '{origin}'", ("hour", "location_id"))
    rows = chosen(found.rows, ~np.isnan(found.rows["pickups"]))
    if not rows["pickups"].any():
        raise BatchError(f"there are no pickups of {origin} to learn from", remedy="load its trips, then try again")
    split = time_split(utc(rows["hour"][0]), utc(rows["hour"][-1]) + HOUR)
    part = split.part(rows["hour"])
    fitted, validation, test = (chosen(rows, part == each) for each in ("train", "validation", "test"))
    used = PARAMETERS | parameters
    regressor = HistGradientBoostingRegressor(
        loss="poisson", early_stopping=True, n_iter_no_change=15, scoring="loss", random_state=0, **used
    )
    held_out = {"X_val": matrix(validation, FEATURES), "y_val": validation["pickups"]}
    regressor.fit(matrix(fitted, FEATURES), fitted["pickups"], **held_out)
    spread = intervals.dispersion(validation["pickups"], regressor.predict(held_out["X_val"]))
    model = Model(name(origin), FEATURES, regressor, spread)
    described = split.described | {"snapshot_id": found.snapshot_id, "iterations": regressor.n_iter_, "spread": spread}
    return Trained(model, score(model, validation, test), described | used)


def score(model: Model, validation: Columns, test: Columns) -> dict[str, dict[str, float]]:
    """The model's measures on `test` and the baselines'.

    Poisson's deviance has no place for a forecast of zero: for it, not for the error, a baseline's zeros are the mean
    of what came at its zeros in `validation`.
    """
    predicted = model.predict(test)
    lower, upper = intervals.count_interval(predicted, model.spread)
    busy = predicted >= 0.5
    found = {
        "model": _errors(test, predicted)
        | {
            "coverage": scores.coverage(test["pickups"], lower, upper),
            "expected_coverage": intervals.expected_coverage(predicted, model.spread, lower, upper),
            "interval_width": float(np.mean(upper - lower)),
        }
    }
    if busy.any():
        found["model"]["coverage_busy"] = scores.coverage(test["pickups"][busy], lower[busy], upper[busy])
    for baseline, (feature, hours) in BASELINES.items():
        past, now = (np.nan_to_num(rows[feature]) / hours for rows in (validation, test))
        at_zero = validation["pickups"][past == 0]
        floor = float(np.mean(at_zero)) if at_zero.size else 0.0
        found[baseline] = _errors(test, now, np.where(now == 0, floor, now))
    return found


def _errors(rows: Columns, predicted: Numbers, above_zero: Numbers | None = None) -> dict[str, float]:
    return {
        "poisson_deviance": scores.poisson_deviance(rows["pickups"], predicted if above_zero is None else above_zero),
        "borough_hour_mae": scores.grouped_error(rows["pickups"], predicted, rows["borough"], rows["hour"]),
    }


def predict(settings: Settings, model: Model, origin: str, known_until: datetime) -> dict[str, NDArray[Any]]:
    """Every zone in the hour that begins at `known_until` and the 24 after it, by the names of the ml table.

    `hour` is that of the features. Raises BatchError when the features do not reach so far.
    """
    first, last = known_until - RECENT, known_until + AHEAD
    where = f"origin = '{origin}' and hour >= '{first.isoformat()}' and hour <= '{last.isoformat()}'"
    rows = read(settings, DEMAND_FEATURES, (*KEYS, *model.features), where, ("hour", "location_id")).rows
    past = rows["hour"] < np.datetime64(known_until.replace(tzinfo=None))
    recent, ahead = chosen(rows, past), chosen(rows, ~past)
    if ahead["hour"].size == 0 or utc(ahead["hour"][-1]) != last:
        raise BatchError(f"the features of {origin} do not reach {last}", remedy="make them first: `models features`")
    predicted = model.predict(ahead)
    lower, upper = intervals.count_interval(predicted, model.spread)
    factor = predicted / model.predict(_with_usual_weather(ahead, recent))
    return {
        "location_id": ahead["location_id"],
        "hour": ahead["hour"],
        "predicted_demand": predicted,
        "lower": lower,
        "upper": upper,
        "weather_impact_factor": np.where(np.isnan(ahead["temperature_celsius"]), np.nan, factor),
        "confidence_score": _confidence(model, ahead, recent),
        "weather_derived": ahead["weather_derived"],
    }


def known_until(settings: Settings, origin: str) -> datetime:
    """The hour at which the published features of `origin` end to know what came."""
    hours = read(settings, DEMAND_FEATURES, ("hour",), f"origin = '{origin}' and location_id = 1", ("hour",)).rows[
        "hour"
    ]
    return utc(hours[-1]) - AHEAD


def _with_usual_weather(ahead: Columns, recent: Columns) -> Columns:
    """The rows with the weather's recent medians at their hour of day."""
    usual = {each: np.full(24, np.nan) for each in WEATHER}
    for each, medians in usual.items():
        for hour in np.unique(recent["local_hour"]).astype(int):
            known = recent[each][(recent["local_hour"] == hour) & ~np.isnan(recent[each])]
            medians[hour] = np.median(known) if known.size else np.nan
    return {**ahead, **{each: medians[ahead["local_hour"].astype(int)] for each, medians in usual.items()}}


def _confidence(model: Model, ahead: Columns, recent: Columns) -> Numbers:
    """For each row ahead, the share of recent hours of its zone and hour of day whose interval held the truth."""
    known = chosen(recent, ~np.isnan(recent["pickups"]))
    shape = (1 + int(ahead["location_id"].max()), 24)
    hits, hours = np.zeros(shape), np.zeros(shape)
    if known["hour"].size:
        lower, upper = intervals.count_interval(model.predict(known), model.spread)
        held = (known["pickups"] >= lower) & (known["pickups"] <= upper)
        places = (known["location_id"].astype(int), known["local_hour"].astype(int))
        np.add.at(hits, places, held)
        np.add.at(hours, places, 1)
    of_row = (ahead["location_id"].astype(int), ahead["local_hour"].astype(int))
    share = np.divide(hits, hours, out=np.full(shape, np.nan), where=hours >= FEWEST_HOURS)
    confidence: Numbers = share[of_row]
    return confidence
