"""Analytics through its real steps; what they must make is computed anew from the rows that DuckDB reads."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from analytics_model import NEW_YORK, Origin, instant
from pyspark.sql import functions

from batch.analytics import sources
from batch.analytics.sources import Source
from batch.analytics.steps import TRANSFORMS, publish
from batch.analytics.views import statement
from batch.job import Job, Run
from batch.shift import replay_shift
from batch.steps import run
from catalog.errors import BatchError, QualityError
from catalog.tables.analytics import ZONE_PERFORMANCE_METRICS

STEPS = (
    *(f"weather {step}" for step in ("fetch", "locations", "validate", "load", "load-locations")),
    *(f"taxi {step}" for step in ("extract", "validate", "load", "record")),
    *(f"analytics {step}" for step in ("available", "transform")),
)
ODD = {
    "refunded": "10.00, now() - interval '3 hours', now() - interval '170 minutes', 2.5",
    "its refund": "-10.00, now() - interval '3 hours', now() - interval '170 minutes', 2.5",
    "free": "0.00, now() - interval '3 hours', now() - interval '2 hours', 2.5",
    "no duration": "11.00, now() - interval '3 hours', now() - interval '3 hours', 2.5",
    "two days": "12.00, now() - interval '3 days', now() - interval '1 day', 2.5",
    "too fast": "13.00, now() - interval '3 hours', now() - interval '2 hours', 101",
    "backwards": "14.00, now() - interval '3 hours', now() - interval '2 hours', -1",
    "not over yet": "15.00, now() - interval '3 hours', null, null",
}
"""Fare, pick-up, drop-off and distance of new trips; only the last one counts."""


@pytest.fixture(scope="module")
def odd_trips(stack) -> Any:
    """Rows that no metric may count, in the source and the mirror as long as these tests run."""
    rows = ", ".join(f"(237, '{note}', 0, 0, 0, {values})" for note, values in ODD.items())
    stack.execute(
        "insert into trips (pickup_location_id, note, tip_amount, tolls_amount, total_amount, fare_amount, pickup_at,"
        f" dropoff_at, trip_distance) values {rows}"
    )
    notes = ", ".join(f"'{note}'" for note in ODD)
    mirrored = f"select count(*) from taxi_cdc.trips where note in ({notes})"
    stack.until(lambda: stack.lake_rows(mirrored) == [(len(ODD),)], "the odd trips are in the mirror")
    yield
    stack.execute(f"delete from trips where note in ({notes})")


@pytest.fixture(scope="module")
def results(stack, spark, odd_trips) -> dict[str, Any]:
    """What each step returned: weather as its DAG loads it, a month of trips, analytics of both origins."""
    name, options = f"test/{uuid4().hex}", {"months": "2019-01"}
    done = {}
    for step in STEPS:
        job = Job(stack.settings, Run(name, options=options), step)
        job.__dict__["spark"] = spark
        done[step] = run(job)
    return done


@pytest.fixture(scope="module")
def city(stack, results) -> dict[str, Origin]:
    """Both origins, computed from the rows that the transform read."""
    weeks = stack.source("select shift_weeks from replay where mode = 'load' order by replay_id desc limit 1")[0][0]
    columns = "pickup_location_id, pickup_at, dropoff_at, fare_amount, trip_distance"
    record = {
        hour: rest
        for hour, *rest in stack.lake_rows(
            "select observed_at, temperature_celsius, precipitation_mm, weather_condition, derived"
            " from iceberg.weather.hourly_weather where location_id = 1 and shift_weeks is null"
        )
    }
    tlc = stack.lake_rows(f"select {columns} from iceberg.nyc_taxi.trips")
    cdc = stack.lake_rows(f"select {columns} from iceberg.taxi_cdc.trips")
    as_instants = [(zone, instant(pickup), instant(dropoff), *rest) for zone, pickup, dropoff, *rest in tlc]
    return {"tlc": Origin(as_instants, record, 0), "cdc": Origin(cdc, record, weeks)}


def same(found: dict[Any, tuple], expected: dict[Any, tuple]) -> None:
    """The same keys, and values that differ by a rounding error of doubles at most."""
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        for one, other in zip(found[key], values, strict=True):
            close = isinstance(other, float) and one is not None and math.isclose(one, other, abs_tol=1e-6)
            assert close or one == other, (key, found[key], values)


def hashes(stack) -> dict[str, list[tuple]]:
    return {
        table.name: stack.lake_rows(
            f"select origin, count(*), sum(hash(t)::hugeint)::varchar from iceberg.{table.identifier} as t"
            " group by origin order by origin"
        )
        for table in TRANSFORMS
    }


def test_the_sources_are_surveyed(stack, results):
    found = results["analytics available"]
    for table in ("nyc_taxi.trips", "weather.hourly_weather", "reference.taxi_zones", "taxi_cdc.trips"):
        assert found[table]["rows"] == stack.lake_rows(f"select count(*) from iceberg.{table}")[0][0] > 0
    assert found["weather.hourly_weather"]["first"] < "2019-01-01"


def test_a_missing_source_is_named_with_the_dag_that_loads_it(batch_job, monkeypatch):
    absent = Source("nyc_taxi.green_trips", "pickup_at", "nyc_green_etl")
    monkeypatch.setattr(sources, "SOURCES", (*sources.SOURCES, absent))
    with pytest.raises(BatchError, match=r"nyc_taxi\.green_trips.*\n.*dags trigger nyc_green_etl"):
        run(batch_job("analytics available"))


def test_the_replays_shift_is_found_from_the_mirror(stack):
    ((weeks,),) = stack.source("select max(shift_weeks) from replay where mode = 'load'")
    assert replay_shift(stack.settings) == weeks


def test_weather_measured_now_does_not_stretch_the_replayed_year(spark, results):
    held = spark.table("weather.hourly_weather")
    one = held.where("location_id = 1 and shift_weeks is null").limit(1)
    measured = one.withColumn("observed_at", functions.expr("date_trunc('hour', now())"))
    held.unionByName(measured).createOrReplaceTempView("with_measured")
    text = statement("weather_hours")

    def replayed(text: str) -> tuple[Any, ...]:
        hours = spark.sql(text, args={"shift_weeks": 300}).where("origin = 'cdc'")
        return tuple(hours.selectExpr("count(*)", "min(hour)", "max(hour)").first())

    assert replayed(text.replace("weather.hourly_weather", "with_measured")) == replayed(text)


def test_every_hour_stands_beside_its_weather(stack, city):
    found = stack.lake_rows(
        "select origin, hour, weather_condition, total_trips, avg_fare_amount, avg_trip_distance, temperature_celsius,"
        " precipitation_mm, weather_derived from iceberg.analytics.trip_weather_correlation"
    )
    expected = {(name, hour): of.city_hour(hour) for name, of in city.items() for hour in of.hours}
    same({row[:2]: row[2:] for row in found}, expected)


def test_every_zone_and_day_has_its_metrics(stack, city):
    found = stack.lake_rows(
        "select origin, location_id, trip_date, total_pickups, total_revenue, avg_fare_per_pickup, peak_hour_factor,"
        " weather_impact_score, wet_hours from iceberg.analytics.zone_performance_metrics"
    )
    expected = {}
    for name, of in city.items():
        for zone in of.zones:
            usual = of.usual(zone)
            expected.update({(name, zone, day): of.zone_day(zone, day, usual) for day in of.dates})
    same({row[:3]: row[3:] for row in found}, expected)
    names = "select count(*), count(zone_name), count(borough) from iceberg.analytics.zone_performance_metrics"
    assert stack.lake_rows(names) == [(len(expected),) * 3]


def test_surges_and_peak_hours_come_from_the_same_trips(stack, city):
    found = stack.lake_rows(
        "select origin, location_id, weekday, hour_of_day, mean_pickups, surges, busiest_pickups, busiest_at, peak_rank"
        " from iceberg.analytics.surge_insight"
    )
    expected, ranks = {}, {}
    for name, of in city.items():
        hours = defaultdict(list)
        for (zone, hour), trips in of.pickups.items():
            local = hour.astimezone(NEW_YORK)
            hours[zone, local.weekday(), local.hour].append((trips, hour))
        means = {key: sum(trips for trips, _ in held) / of.weekdays[key[1]] for key, held in hours.items()}
        for (zone, weekday, at), held in hours.items():
            mean = means[zone, weekday, at]
            surges = sum(trips > mean + 3 * math.sqrt(mean) + 1 for trips, _ in held)
            key = (name, zone, (weekday + 1) % 7 + 1, at)
            expected[key] = (mean, surges, *max(held))
            busier = [each for each, other in means.items() if each[:2] == (zone, weekday) and other > mean + 1e-9]
            ranks[key] = len(busier) + 1
    same({row[:4]: row[4:8] for row in found}, expected)
    assert {row[:4]: row[8] for row in found} == ranks


def test_trips_that_cannot_be_are_kept_and_not_counted(spark, results):
    notes = spark.sql(
        "select m.note, t.counted from trips as t inner join taxi_cdc.trips as m"
        " on t.origin = 'cdc' and t.trip = cast(m.trip_id as string) where m.note is not null"
    ).collect()
    assert {row["note"]: row["counted"] for row in notes if row["note"] in ODD} == {
        note: note == "not over yet" for note in ODD
    }


def test_running_twice_gives_the_same_rows(stack, batch_job, results):
    before = hashes(stack)
    assert all([origin for origin, *_ in rows] == ["cdc", "tlc"] for rows in before.values())
    job = batch_job("analytics transform")
    run(job)
    assert hashes(stack) == before
    recorded = stack.lake_rows(
        "select dataset, interval, status, rows_in = accepted, quarantined, source from iceberg.control.batch_runs"
        f" where run_id = '{job.run.id}' order by 1, 2"
    )
    expected = sorted((table.identifier, origin) for table in TRANSFORMS for origin in ("cdc", "tlc"))
    assert [row[:5] for row in recorded] == [(*each, "success", True, 0) for each in expected]
    assert all(("nyc_taxi.trips@" in row[5]) == (row[1] == "tlc") for row in recorded)


def test_rows_that_break_a_rule_are_not_published(stack, spark, batch_job, results):
    before = hashes(stack)
    job = batch_job("analytics transform")
    rows = spark.table(f"iceberg.{ZONE_PERFORMANCE_METRICS.identifier}").where("origin = 'tlc'")
    doubled = rows.unionAll(rows.where("total_pickups = 1").limit(1)).localCheckpoint()
    with pytest.raises(QualityError, match="origin, trip_date, location_id unique"):
        publish(job, ZONE_PERFORMANCE_METRICS, "tlc", doubled, "a test")
    assert hashes(stack) == before
    found = stack.lake_rows(
        "select rule, breaches, passed, sample is not null from iceberg.control.quality_results"
        f" where run_id = '{job.run.id}' and not passed and severity = 'error' order by rule"
    )
    broken = ["every counted trip is in a row", "origin, trip_date, location_id unique"]
    assert found == [(rule, 1, False, True) for rule in broken]
    recorded = f"select status, snapshot_id from iceberg.control.batch_runs where run_id = '{job.run.id}'"
    assert stack.lake_rows(recorded) == [("failed", None)]


def test_the_questions_of_the_weather_and_of_the_last_days_are_answered(spark, city):
    """The text is what users were promised; it must run as it is."""
    weather = spark.sql(
        "SELECT weather_condition, AVG(total_trips) avg_trips, AVG(avg_fare_amount) avg_fare, CORR(temperature_celsius, total_trips) temp_correlation FROM iceberg.analytics.trip_weather_correlation GROUP BY weather_condition"  # noqa: E501
    ).collect()
    known = [row for row in weather if row["weather_condition"] is not None]
    assert {row["weather_condition"] for row in known} == {"dry", "rain", "snow"}
    assert all(row["avg_trips"] > 0 and 5 < row["avg_fare"] < 50 and -1 < row["temp_correlation"] < 1 for row in known)
    zones = spark.sql(
        "SELECT zone_name, borough, SUM(total_pickups * avg_fare_per_pickup) total_revenue, AVG(peak_hour_factor) avg_peak_factor, AVG(weather_impact_score) weather_sensitivity FROM iceberg.analytics.zone_performance_metrics WHERE trip_date >= current_date() - interval 7 days GROUP BY zone_name, borough ORDER BY total_revenue DESC"  # noqa: E501
    ).collect()
    recent = datetime.now(UTC).date() - timedelta(days=7)
    of = city["cdc"]
    fares = sum(fare for (_, hour), fare in of.fares.items() if hour.astimezone(NEW_YORK).date() >= recent)
    assert math.isclose(sum(row["total_revenue"] or 0 for row in zones), fares, rel_tol=1e-9)
    assert fares > 0
    assert all(1 <= row["avg_peak_factor"] <= 24 for row in zones if row["total_revenue"])


def test_the_mirror_is_found_fresh(stack, batch_job):
    stack.until(lambda: stack.table("public.trips").get("state") == "running", "the trips are streamed")
    stack.traffic(changes=20, seed=23)
    stack.verified("trips")
    found = run(batch_job("analytics realtime"))
    assert found["mirror"]["rows_total"] == stack.source("select count(*) from trips")[0][0]
    assert found["recent_changes"]["events"] > 0
    assert found["states"]["public.trips"] == found["realtime"]["state"] == "running"


def test_changes_that_come_too_late_fail_the_step(stack, batch_job):
    stack.traffic(changes=5, seed=24)
    stack.verified("trips")
    with pytest.raises(BatchError, match=r"taxi_cdc\.trips is stale"):
        run(batch_job("analytics realtime", stream_delay_seconds=0.000001))
