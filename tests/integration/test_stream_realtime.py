"""Real-time tables on the real stack: at each barrier what DuckDB makes of the mirror, read alike by every engine."""

import os
import signal
from datetime import UTC
from uuid import uuid4

import pytest

from catalog.readers import iceberg_catalog
from catalog.session import spark_session
from catalog.verification.barrier import topic_targets
from catalog.verification.realtime import RealtimeReport, verify_realtime

TOPIC = "lakehouse.trips"
ACTIVITY = """
SELECT zone_id, activity_timestamp, activity_score, revenue_last_hour, pickup_count FROM iceberg.realtime.zone_activity
WHERE activity_timestamp >= current_timestamp() - interval 1 hour ORDER BY activity_score DESC
"""
BARRIER_SECONDS = 180.0
KEYS = 9_000_000
"""Keys of this module's own trips, from here on; they are gone at its end."""


def equal(stack) -> RealtimeReport:
    """At a barrier: what is committed in Postgres is in the windows, and these are what the mirror makes them."""
    stack.verified("trips", seconds=BARRIER_SECONDS)
    report = verify_realtime(stack.settings, topic_targets(stack.settings, [TOPIC])[TOPIC], BARRIER_SECONDS)
    assert report.equal, report
    return report


def changes(stack, round_: int) -> None:
    """Late trips of other days and zones, corrected, moved in time and place, given other keys, cancelled."""
    first = KEYS + 100 * round_
    stack.execute(
        f"""insert into trips (trip_id, pickup_at, pickup_location_id, trip_distance, fare_amount, tip_amount,
        tolls_amount, total_amount) select {first} + n, now() - n * interval '7 hours', 1 + n % 5, nullif(n % 4, 0),
        n, 0, 0, n from generate_series(1, 60) n""",
        f"update trips set pickup_at = pickup_at - interval '1 week' where trip_id between {first} and {first} + 20",
        f"update trips set pickup_location_id = 6 where trip_id between {first} + 15 and {first} + 25",
        f"update trips set total_amount = total_amount + 0.25 where trip_id between {first} + 22 and {first} + 30",
        f"update trips set trip_id = trip_id + 60 where trip_id between {first} + 28 and {first} + 33",
        f"delete from trips where trip_id between {first} + 40 and {first} + 50",
        f"""begin; insert into trips (trip_id, pickup_at, pickup_location_id, fare_amount, tip_amount, tolls_amount,
        total_amount) values ({first}, now(), 7, 1, 0, 0, 1); delete from trips where trip_id = {first}; commit""",
    )


def kill(stack, *names: str) -> None:
    """End components at once, without a chance to finish, and wait until they are back."""
    pids = {name: stack.states()[name].pid for name in names}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    for name, pid in pids.items():
        stack.until(lambda name=name, pid=pid: stack.states()[name].pid not in (None, pid), f"{name} is started again")


@pytest.fixture(scope="module")
def own_trips(stack):
    yield
    stack.execute(f"delete from trips where trip_id >= {KEYS}")


def test_at_three_barriers_with_kills_between_they_equal_a_recomputation(stack, own_trips):
    before = equal(stack)
    for round_, killed in enumerate(((), ("stream",), ("stream", "catalog"))):
        changes(stack, round_)
        stack.traffic(120, seed=700 + round_)
        kill(stack, *killed)
        stack.traffic(60, seed=710 + round_)
        report = equal(stack)
        assert report.windows > before.windows and report.activity > before.activity
    assert stack.status()["realtime"]["state"] == "running"


def test_a_resync_makes_them_anew(stack, own_trips):
    stack.execute(f"update trips set total_amount = total_amount + 1 where trip_id between {KEYS} and {KEYS} + 20")
    done = stack.lake("resync", "trips")
    assert done.returncode == 0, done.stdout + done.stderr
    stack.traffic(60, seed=720)
    equal(stack)


def test_the_query_of_the_last_hour_gives_the_same_rows_in_every_engine(stack, own_trips):
    stack.traffic(100, seed=730)
    equal(stack)
    spark = spark_session(stack.settings, "test real-time tables", driver_memory="1g")
    try:
        columns = "zone_id, activity_timestamp, activity_score, revenue_last_hour, pickup_count"

        def alike():
            """A tick of the clock may come in between."""
            duckdb = stack.lake_rows(
                f"select {columns} from iceberg.realtime.zone_activity"
                " where activity_timestamp >= now() - interval 1 hour"
            )
            by_spark = [tuple(row) for row in spark.sql(ACTIVITY).collect()]
            by_spark = [(zone, at.astimezone(UTC), *others) for zone, at, *others in by_spark]
            rows = iceberg_catalog(stack.settings).load_table("realtime.zone_activity").scan().to_arrow().to_pylist()
            earliest = min(row[1] for row in by_spark)
            pyiceberg = [tuple(row.values()) for row in rows if row["activity_timestamp"] >= earliest]
            scores = [row[2] for row in by_spark]
            assert scores == sorted(scores, reverse=True) and max(scores) > 1
            return sorted(duckdb) == sorted(by_spark) == sorted(pyiceberg)

        stack.until(alike, "the engines agree", 60)
    finally:
        spark.stop()


def alerts(stack, subject: str) -> list[tuple]:
    return stack.lake_rows(
        "select value, cleared_at is null from iceberg.realtime.alerts"
        f" where rule = 'fare' and subject = '{subject}' order by raised_at"
    )


def test_a_fare_far_off_is_raised_once_also_across_a_kill_and_is_over_when_the_trip_is_cancelled(stack, own_trips):
    trip = KEYS + 50_000 + uuid4().int % 10**9
    stack.execute(
        f"""insert into trips (trip_id, pickup_at, pickup_location_id, trip_distance, fare_amount, tip_amount,
        tolls_amount, total_amount) values ({trip}, now(), 161, 1.2, 4321, 0, 0, 4321)"""
    )
    subject = f"trip_id {trip}"
    stack.until(lambda: alerts(stack, subject), "it is raised")
    kill(stack, "stream")
    stack.execute(f"update trips set note = 'looked at' where trip_id = {trip}")
    equal(stack)
    assert alerts(stack, subject) == [(4321.0, True)]
    stack.execute(f"delete from trips where trip_id = {trip}")
    stack.until(lambda: alerts(stack, subject) == [(4321.0, False)], "it is over")
