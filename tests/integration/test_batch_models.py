"""Features, models and predictions through the real step; read by DuckDB and recounted from the trips themselves."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from batch.job import Job, Run
from batch.models import demand
from batch.models.calendar import Span
from batch.models.publishing import publish_predictions
from batch.models.registry import Registry
from batch.steps import run
from catalog.errors import BatchError

SOURCES = (
    *(f"weather {step}" for step in ("fetch", "locations", "validate", "load", "load-locations")),
    *(f"taxi {step}" for step in ("extract", "validate", "load", "record")),
)
HISTORY = 70
"""Days that are learned from: enough for the mirror to be chosen, few enough to be quick."""
NEXT_HOURS = (
    "SELECT location_id, prediction_hour, predicted_demand, weather_impact_factor, confidence_score"
    " FROM iceberg.ml.demand_prediction_features WHERE prediction_hour >= current_timestamp()"
)
DEMAND = "iceberg.ml.demand_prediction_features"
FEATURES = "iceberg.analytics.demand_prediction_features"
FARES = "iceberg.ml.fare_prediction_features"


@pytest.fixture(scope="module")
def step(stack, spark) -> Any:
    """Runs `models features` as of a time; what it returned."""

    def go(now: datetime) -> dict[str, Any]:
        options = {"now": now.isoformat(), "history_days": str(HISTORY)}
        job = Job(stack.settings, Run(f"test/{uuid4().hex}", options=options), "models features")
        job.__dict__["spark"] = spark
        return run(job)

    return go


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def made(stack, spark, step, now) -> dict[str, Any]:
    """The step's result, after weather and a month of trips were loaded as their DAGs load them."""
    of_run = Run(f"test/{uuid4().hex}", options={"months": "2019-01"})
    for name in SOURCES:
        job = Job(stack.settings, of_run, name)
        job.__dict__["spark"] = spark
        run(job)
    return step(now)


def rows(stack, table: str) -> str:
    """A hash of all rows of a table, in any order."""
    return stack.lake_rows(f"select count(*)::varchar || ' ' || bit_xor(hash(t))::varchar from {table} as t")[0][0]


def test_the_next_day_is_foreseen_for_every_zone(stack, spark, made, now):
    found = spark.sql(NEXT_HOURS).collect()
    hour = now.replace(minute=0, second=0, microsecond=0)
    first = min(row["prediction_hour"].astimezone(UTC) for row in found)
    assert hour < first <= hour + timedelta(hours=2)  # time goes on while the tests run
    hours = [first + number * timedelta(hours=1) for number in range((hour - first) // timedelta(hours=1) + 25)]
    ahead = {(zone, each) for zone in range(1, 266) for each in hours}
    assert {(row["location_id"], row["prediction_hour"].astimezone(UTC)) for row in found} == ahead
    assert hours[-1] == hour + timedelta(hours=24)
    assert made["origin"] == "cdc"
    assert all(row["predicted_demand"] > 0 for row in found)
    assert all(0 <= row["confidence_score"] <= 1 for row in found)
    assert all(0.2 < row["weather_impact_factor"] < 5 for row in found)


def test_predictions_say_what_they_rest_on(stack, made, now):
    found = stack.lake_rows(
        f"select distinct origin, shift_weeks, weather_derived, model_version, made_at from {DEMAND}"
    )
    hour = now.replace(minute=0, second=0, microsecond=0)
    assert found == [("cdc", 0, True, made["models"][0], hour)]
    assert stack.lake_rows(
        f"select count(*) from {DEMAND} where not lower <= predicted_demand + 1 or lower > upper"
    ) == [(0,)]


def test_pickups_are_those_of_the_mirror(stack, made, now):
    """Every counted trip of the mirror is in exactly one hour, and each past hour of each zone is there."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    first = hour - timedelta(days=HISTORY)
    trips = (
        "select pickup_location_id as location_id, date_trunc('hour', pickup_at) as hour, count(*) as pickups"
        " from iceberg.taxi_cdc.trips where fare_amount > 0 and (dropoff_at is null or dropoff_at > pickup_at)"
        f" and pickup_at >= timestamptz '{first}' and pickup_at < timestamptz '{hour}' group by all"
    )
    differing = stack.lake_rows(
        f"with trips as ({trips}), features as (select * from {FEATURES} where origin = 'cdc' and pickups is not null)"
        " select hour, location_id, trips.pickups, features.pickups from trips full join features"
        " using (location_id, hour) where coalesce(trips.pickups, 0) is distinct from features.pickups"
    )
    # refunds, and trips that were too fast or too long, are not counted
    assert len(differing) <= 20
    assert all((there or 0) > here for _, _, there, here in differing)
    ((known, unknown),) = stack.lake_rows(
        f"select count(pickups), count(*) - count(pickups) from {FEATURES} where origin = 'cdc'"
    )
    assert (known, unknown) == (265 * 24 * HISTORY, 265 * 25)


def test_an_older_run_that_comes_later_changes_no_newer_prediction(stack, spark, made, now):
    before, earlier = rows(stack, DEMAND), now - timedelta(hours=3)
    model = Registry(stack.settings).newest(demand.name("cdc"), demand.FEATURES)
    hour = earlier.replace(minute=0, second=0, microsecond=0)
    job = Job(stack.settings, Run(f"test/{uuid4().hex}"), "models features")
    job.__dict__["spark"] = spark
    publish_predictions(job, model, Span("cdc", hour - timedelta(days=HISTORY), hour), earlier)
    assert stack.lake_rows(f"select count(distinct made_at), count(*) from {DEMAND}") == [(2, 265 * 28)]
    assert rows(stack, f"(select * from {DEMAND} where made_at > timestamptz '{hour}')") == before


def test_the_same_run_again_changes_nothing(stack, step, made, now):
    before = {table: rows(stack, table) for table in (DEMAND, FEATURES, FARES)}
    assert step(now) == made
    assert {table: rows(stack, table) for table in before} == before


def test_a_model_is_kept_with_its_scores_and_is_the_same_again(stack, made, now):
    version = made["models"][0]
    kept = Registry(stack.settings).newest(demand.name("cdc"), demand.FEATURES)
    assert kept is not None
    assert kept.version == version
    trained = demand.train(stack.settings, "cdc")
    assert set(trained.scores) == {"model", *demand.BASELINES}
    until = now.replace(minute=0, second=0, microsecond=0)
    same = [demand.predict(stack.settings, model, "cdc", until) for model in (kept, trained.model)]
    assert all((one == other).all() for one, other in zip(*(each["predicted_demand"] for each in same), strict=True))


def test_fares_are_foreseen_for_both_origins(stack, made):
    found = stack.lake_rows(
        f"select origin, count(*) > 1000, count(distinct part), avg(abs(predicted_fare - fare_amount)) < 5,"
        f" avg((fare_amount between fare_lower and fare_upper)::int) > 0.8 from {FARES} group by origin order by origin"
    )
    assert [origin for origin, *_ in found] == ["cdc", "tlc"]
    assert all(enough and parts == 3 and close and held for _, enough, parts, close, held in found)


def test_predictions_in_the_terminal(stack, made):
    done = stack.lake("predict", "--origin", "cdc", "--zones", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model_version"] == made["models"][0]
    assert len(found["zones"]) == 3
    day = stack.lake_rows(
        f"select location_id, sum(predicted_demand) from {DEMAND} where prediction_hour > made_at group by all"
    )
    assert found["zones"][0]["demand"] == pytest.approx(max(total for _, total in day))


def test_without_features_there_is_no_model(stack):
    with pytest.raises(BatchError, match="no rows"):
        demand.train(stack.settings, "nobody")
