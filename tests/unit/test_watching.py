"""Rules over zones and over the stream's own health."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from streaming.watching import Conditions, Health

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def latest(**scored):
    """The activity of zones from `zone=(score, pickups)`."""
    return pa.table(
        {
            "zone_id": pa.array([int(zone.removeprefix("z")) for zone in scored], pa.int32()),
            "activity_score": pa.array([score for score, _ in scored.values()], pa.float64()),
            "pickup_count": pa.array([pickups for _, pickups in scored.values()], pa.int64()),
        }
    )


def found(conditions, *, events=100, bad=0, minutes=0.0, behind=1.0, now=NOW, zones=None, differing=()):
    health = Health(events, bad, NOW - timedelta(minutes=minutes), behind, dict(differing))
    looks = conditions.look(health, zones or latest(), now, ())
    return {(each.rule, each.subject): each.value for looked in looks for each in looked.found}


def test_a_zone_surges_with_a_high_score_and_enough_trips():
    zones = latest(z1=(2.9, 40), z2=(3.0, 10), z3=(9.0, 9))
    assert found(Conditions(), zones=zones) == {("surge", "zone 2"): 3.0}


def test_silence_and_lag_are_told_in_their_units():
    assert found(Conditions(), minutes=14.9, behind=59.0) == {}
    assert found(Conditions(), minutes=16.0, behind=75.0) == {
        ("silence", "public.trips"): 16.0,
        ("lag", "public.trips"): 75.0,
    }


def test_the_error_rate_counts_what_came_since_and_begins_anew_with_the_query():
    conditions = Conditions()
    assert found(conditions, events=1000, bad=50) == {}, "what was there before is no news"
    assert found(conditions, events=1098, bad=52) == {("errors", "public.trips"): 0.02}
    assert found(conditions, events=10, bad=52) == {}


def test_what_a_verification_found_is_an_alert_of_its_table():
    differing = {"public.trips": 2, "public.vendors": 0}
    assert found(Conditions(), differing=differing) == {("difference", "public.trips"): 2}
