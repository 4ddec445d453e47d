"""No feature looks into the future: whatever happens after a time T changes nothing that is known 24 hours ahead of T.

The SQL is the one that Spark runs; it keeps to what DuckDB understands too.
"""

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.models.calendar import AHEAD, HOUR, Span, calendar
from batch.models.features import statement
from catalog.tables.ml import DEMAND_FEATURES

FIRST = datetime(2019, 9, 20, 4, tzinfo=UTC)
HOURS = 24 * 45
"""Over the end of summer time."""
ZONES = (1, 2, 3)
TARGETS = {"demand_prediction_features": "pickups", "fare_prediction_features": "fare_amount"}


def trips(seed: int, first: int = 0) -> pa.Table:
    """About 0.4 trips per zone and hour from hour `first` on."""
    drawn = np.random.default_rng(seed)
    count = (HOURS - first) * len(ZONES) * 4 // 10
    seconds = np.sort(drawn.uniform(first * 3600, HOURS * 3600, count))
    return pa.table(
        {
            "origin": ["tlc"] * count,
            "trip": [f"{seed}#{number}" for number in range(count)],
            "pickup_at": pa.array(
                [FIRST + timedelta(seconds=float(each)) for each in seconds], pa.timestamp("us", "UTC")
            ),
            "location_id": drawn.choice(ZONES, count),
            "dropoff_location_id": drawn.choice(ZONES, count),
            "passenger_count": np.ones(count, np.int32),
            "fare_amount": drawn.integers(3, 70, count).astype(
                float
            ),  # whole, so that sums do not depend on their order
            "counted": [True] * count,
        }
    )


@pytest.fixture(scope="module")
def engine():
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set timezone = 'UTC'")
    connection.register("calendar", calendar([Span("tlc", FIRST, FIRST + HOURS * HOUR)]))
    connection.execute("create schema reference")
    connection.execute(
        "create table reference.taxi_zones as select range::int as location_id, if(range < 3, 'Queens', 'Bronx') as"
        " borough, 40.7 + range / 100 as centroid_latitude, -73.9 as centroid_longitude from range(1, 4)"
    )
    connection.execute(
        "create table weather_hours as select origin, hour, 10.0 as temperature_celsius, 0.0 as precipitation_mm,"
        " 9.0 as wind_speed_kmh, null::double as humidity, 'clear' as weather_condition, true as derived from calendar"
    )
    return connection


def features(engine: duckdb.DuckDBPyConnection, name: str, of: pa.Table, until: datetime) -> pa.Table:
    """The rows of hours or trips until `until`, without what they are to foresee."""
    engine.register("trips", of)
    time = "hour" if name.startswith("demand") else "pickup_at"
    order = [(each, "ascending") for each in ("origin", "location_id", time)]
    found = engine.execute(statement(name)).to_arrow_table().drop_columns(TARGETS[name]).sort_by(order)
    return found.filter(pa.compute.less_equal(found[time], pa.scalar(until)))


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(max_examples=6)
@given(minute=st.integers(24 * 60, (HOURS - 30) * 60), seed=st.integers(1, 10**6))
def test_what_comes_later_changes_no_feature(engine, name, minute, seed):
    time = FIRST + timedelta(minutes=minute)
    before = trips(0)
    kept = before.filter(pa.compute.less(before["pickup_at"], pa.scalar(time)))
    after = trips(seed, minute // 60 + 1)
    changed = pa.concat_tables([kept, after])
    horizon = time + AHEAD if name.startswith("demand") else time - timedelta(microseconds=1)
    assert features(engine, name, changed, horizon).equals(features(engine, name, before, horizon))


def test_what_is_known_is_used(engine):
    """The hour that has just ended is in the features of the first hour that may know it."""
    before, hour = trips(0), FIRST + 900 * HOUR
    without = before.filter(pa.compute.less(before["pickup_at"], pa.scalar(hour)))
    until = hour + AHEAD
    same = features(engine, "demand_prediction_features", without, until)
    assert same.equals(features(engine, "demand_prediction_features", before, until))
    later = features(engine, "demand_prediction_features", without, until + HOUR)
    assert not later.equals(features(engine, "demand_prediction_features", before, until + HOUR))


def test_features_are_the_declared_columns(engine):
    engine.register("trips", trips(0))
    found = [each[0] for each in engine.execute(statement("demand_prediction_features")).description]
    assert found == list(DEMAND_FEATURES.column_names)


def test_each_count_by_hand(engine):
    """One zone's features of one hour, recounted trip by trip."""
    taken, hour = trips(0), FIRST + 1000 * HOUR
    found = features(engine, "demand_prediction_features", taken, hour)
    (row,) = [each for each in found.to_pylist() if each["hour"] == hour and each["location_id"] == 2]
    begins = [
        (trip["pickup_at"].replace(minute=0, second=0, microsecond=0), trip["location_id"])
        for trip in taken.to_pylist()
    ]

    def count(hours_before: int, hours: int = 1, zones: tuple[int, ...] = (2,)) -> int:
        ends = hour - (hours_before - hours) * HOUR
        return sum(ends - hours * HOUR <= begin < ends and zone in zones for begin, zone in begins)

    assert row["pickups_2_days_before"] == count(48)
    assert row["pickups_1_week_before"] == count(168)
    assert row["pickups_last_day"] == count(48, 24)
    assert row["pickups_last_week"] == count(192, 168)
    assert row["pickups_last_4_weeks"] == count(696, 672)
    assert row["city_pickups_last_day"] == count(48, 24, ZONES)
    assert row["mean_pickups"] == pytest.approx(count(1000, 976) / 976)
