"""Fare: what the meter will show for a trip whose start, end and time are known, in US dollars, with an interval.

Boosted trees under absolute error, so that the median is foreseen and a few odd fares do not draw it. Distance and
duration of the trip itself are known only at its end and are not used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from batch.models import intervals, scores
from batch.models.calendar import HOUR
from batch.models.scores import Numbers
from batch.models.training import Columns, Model, Split, Trained, chosen, matrix, read, time_split, utc
from catalog.errors import BatchError
from catalog.settings import Settings
from catalog.tables.ml import FARE_PREDICTIONS

FEATURES = (
    "location_id",
    "dropoff_location_id",
    "local_hour",
    "weekday",
    "is_holiday",
    "passenger_count",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
    "kilometres",
    "trips_before",
    "mean_fare_before",
    "temperature_celsius",
    "precipitation_mm",
)
FEWEST_TRIPS = 1000
"""Of an origin, for a model that says anything."""
KEYS = ("pickup_at", "trip", "fare_amount")
PARAMETERS = {"learning_rate": 0.1, "max_iter": 300, "max_leaf_nodes": 31, "min_samples_leaf": 50, "max_bins": 255}


def name(origin: str) -> str:
    """Of the registered model."""
    return f"fare-{origin}"


def published(settings: Settings, origin: str) -> Columns:
    """What the last run of the DAG published of the trips of `origin`. Raises BatchError when that is nothing."""
    return read(settings, FARE_PREDICTIONS, (*KEYS, *FEATURES), f"origin = '{origin}'", ("pickup_at", "trip")).rows


def split_of(rows: Columns) -> Split:
    """The split by time of rows in the order of their pick-ups."""
    first, last = (utc(rows["pickup_at"][place]).replace(minute=0, second=0, microsecond=0) for place in (0, -1))
    return time_split(first, last + HOUR)


def train(rows: Columns, origin: str, **parameters: float) -> Trained:
    """Fit on the trips of `origin`, in the order of their pick-ups, and score on their last month.

    Raises BatchError when a part of the split has no trip.
    """
    split = split_of(rows)
    part = split.part(rows["pickup_at"])
    fitted, validation, test = (chosen(rows, part == each) for each in ("train", "validation", "test"))
    if not all(each["fare_amount"].size for each in (fitted, validation, test)):
        raise BatchError(f"{origin} has too few trips to learn fares from", remedy="load more trips, then try again")
    used = PARAMETERS | parameters
    regressor = HistGradientBoostingRegressor(
        loss="absolute_error", early_stopping=True, n_iter_no_change=15, scoring="loss", random_state=0, **used
    )
    held_out = {"X_val": matrix(validation, FEATURES), "y_val": validation["fare_amount"]}
    regressor.fit(matrix(fitted, FEATURES), fitted["fare_amount"], **held_out)
    foreseen = _positive(regressor.predict(held_out["X_val"]))
    spread = intervals.relative_error_quantile(validation["fare_amount"], foreseen)
    model = Model(name(origin), FEATURES, regressor, spread)
    described = split.described | {"iterations": regressor.n_iter_, "spread": spread}
    return Trained(model, _score(model, fitted, test), described | used)


def predict(model: Model, rows: Columns) -> dict[str, NDArray[Any]]:
    """Fare and interval of each row, by the names of the ml table."""
    predicted = _positive(model.predict(rows))
    return {
        "predicted_fare": predicted,
        "fare_lower": np.maximum(predicted * (1 - model.spread), 0),
        "fare_upper": predicted * (1 + model.spread),
    }


def _score(model: Model, fitted: Columns, test: Columns) -> dict[str, dict[str, float]]:
    """The model's errors on `test` in US dollars, and those of baselines that are as simple as can be."""
    predicted = predict(model, test)
    truth = test["fare_amount"]
    overall = float(np.median(fitted["fare_amount"]))
    known = ~np.isnan(fitted["kilometres"])
    slope, start = np.polyfit(fitted["kilometres"][known], fitted["fare_amount"][known], 1)
    by_distance = np.where(np.isnan(test["kilometres"]), overall, start + slope * test["kilometres"])
    of_same_way = np.where(np.isnan(test["mean_fare_before"]), by_distance, test["mean_fare_before"])
    covered = scores.coverage(truth, predicted["fare_lower"], predicted["fare_upper"])
    return {
        "model": _errors(truth, predicted["predicted_fare"]) | {"coverage": covered},
        "mean of the same two zones": _errors(truth, of_same_way),
        "straight line by distance": _errors(truth, by_distance),
        "median of all": _errors(truth, np.full(len(truth), overall)),
    }


def _errors(truth: Numbers, predicted: Numbers) -> dict[str, float]:
    return {
        "mae": float(mean_absolute_error(truth, predicted)),
        "rmse": float(root_mean_squared_error(truth, predicted)),
    }


def _positive(fares: Numbers) -> Numbers:
    """No taxi drives for nothing, whatever a tree says."""
    return np.maximum(fares, 1.0)
