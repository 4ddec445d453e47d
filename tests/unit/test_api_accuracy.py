"""Predictions are held against the hour that they speak of; the numbers here are reckoned by hand."""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from serving.api.lake import page_query
from serving.api.routes.analytics import ACCURACY

NOON = datetime(2026, 7, 10, 16, tzinfo=UTC)
"""12:00 in New York, in summer: four hours off UTC."""
MADE = datetime(2026, 7, 10, 12, tzinfo=UTC)
WEEKS = 30
THEN = datetime(2025, 12, 12, 17, tzinfo=UTC)
"""12:00 in New York thirty weeks before, in winter: five hours off UTC."""
FALL_BACK = datetime(2026, 11, 1, 5, tzinfo=UTC)
"""The first of the two hours that New York's clock calls one o'clock."""


def answer(predictions: list[tuple], came: list[tuple], until: datetime) -> list[dict]:
    query, values = page_query(ACCURACY.sql, ACCURACY.order, 100, None)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            "create table predictions (origin text, location_id int, prediction_hour timestamptz, shift_weeks int,"
            " predicted_demand double, lower double, upper double, weather_derived boolean, model_version text,"
            " made_at timestamptz)"
        )
        connection.execute("create table features (origin text, location_id int, hour timestamptz, pickups bigint)")
        connection.executemany("insert into predictions values (?, ?, ?, ?, ?, ?, ?, false, 'v1', ?)", predictions)
        connection.executemany("insert into features values (?, ?, ?, ?)", came)
        rows = connection.execute(query, {"now_until": until, "hours": 24, **values}).to_arrow_table()
    return rows.to_pylist()


def test_a_moved_prediction_is_held_against_the_hour_that_it_was_moved_from():
    hour = timedelta(hours=1)
    predictions = [
        ("tlc", 1, NOON, WEEKS, 4.0, 2.0, 6.0, MADE),  # 7 came: 3 off, outside
        ("tlc", 2, NOON, WEEKS, 1.0, 0.0, 2.0, MADE),  # 0 came: 1 off, inside
        ("tlc", 3, NOON, WEEKS, 9.0, 0.0, 9.0, MADE),  # nobody knows what came
        ("cdc", 1, NOON, 0, 5.0, 3.0, 8.0, MADE),  # 5 came: right
    ]
    came = [
        ("tlc", 1, THEN, 7), ("tlc", 2, THEN, 0), ("tlc", 3, THEN, None), ("cdc", 1, NOON, 5),
        # what stands at other hours counts for nothing: the present one, those beside it, weeks by UTC's clock
        ("tlc", 1, NOON, 100), ("tlc", 1, THEN - hour, 100), ("tlc", 2, THEN + hour, 100), ("cdc", 1, THEN, 100),
    ]  # fmt: skip
    ours, theirs = answer(predictions, came, NOON + hour)
    assert (ours["origin"], ours["zones"], ours["pickups"], ours["mean_absolute_error"]) == ("cdc", 1, 5, 0.0)
    assert (theirs["origin"], theirs["prediction_hour"]) == ("tlc", NOON), "the hour is told as it was foreseen"
    assert (theirs["zones"], theirs["predicted_demand"], theirs["pickups"]) == (2, 5.0, 7)
    assert (theirs["mean_absolute_error"], theirs["share_within_interval"]) == (2.0, 0.5)


@pytest.mark.parametrize("hours", [0, 1])
def test_an_hour_that_was_not_moved_is_itself_also_when_the_clock_shows_it_twice(hours):
    hour = FALL_BACK + timedelta(hours=hours)
    came = [("cdc", 1, FALL_BACK, 10), ("cdc", 1, FALL_BACK + timedelta(hours=1), 11)]
    (row,) = answer([("cdc", 1, hour, 0, 10.0, 0.0, 20.0, hour)], came, hour + timedelta(hours=1))
    assert row["pickups"] == 10 + hours
