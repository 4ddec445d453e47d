"""Real-time tables on the real stack: at each barrier what DuckDB makes of the mirror; alerts raised and over once."""

import os
import signal
from uuid import uuid4

KEYS = 9_000_000_000 + uuid4().int % 10**9 * 1_000
"""Keys of this run's own trips, from here on; they are gone at its end."""
ZONE = 9_999
"""No other trip is of this zone, so that its activity is more than there was."""


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


def test_at_three_barriers_they_equal_a_recomputation_and_an_alert_is_raised_once_across_a_kill(stack):
    before, trip = stack.real_time_verified(), KEYS + 999
    dear = f"""insert into trips (trip_id, pickup_at, pickup_location_id, trip_distance, fare_amount, tip_amount,
        tolls_amount, total_amount) values ({trip}, now() - interval '10 minutes', {ZONE}, 1.2, 4321, 0, 0, 4321)"""

    def alerts() -> list[tuple]:
        return stack.lake_rows(
            "select value, cleared_at is null from iceberg.realtime.alerts"
            f" where rule = 'fare' and subject = 'trip_id {trip}'"
        )

    stack.execute(dear)
    changes(stack, 0)
    stack.traffic(60, seed=700)
    report = stack.real_time_verified()
    assert report.windows > before.windows and report.activity > before.activity
    stack.until(alerts, "the alert is raised")

    killed = stack.states()["stream"].pid
    os.kill(killed, signal.SIGKILL)
    stack.execute(f"update trips set note = 'looked at' where trip_id = {trip}")
    changes(stack, 1)
    stack.traffic(60, seed=710)
    stack.until(lambda: stack.states()["stream"].pid not in (None, killed), "the stream is started again")
    stack.real_time_verified()
    assert alerts() == [(4321.0, True)]

    stack.execute(f"delete from trips where trip_id >= {KEYS}")
    stack.traffic(60, seed=720)
    stack.real_time_verified()
    stack.until(lambda: alerts() == [(4321.0, False)], "the alert is over")
    assert stack.status()["realtime"]["state"] == "running"
