"""Real times move by whole weeks: weekday and hour stay, nothing is later than now, doubtful hours are flagged."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.calendar_shift import NEW_YORK, shift_for, to_instant, whole_weeks_until
from connectors.tlc import read_trips, shift_to, source_row_values, two_places

locals_2019 = st.datetimes(datetime(2008, 12, 31), datetime(2020, 1, 2))
moments = st.datetimes(datetime(2020, 2, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(local=locals_2019, weeks=st.integers(0, 800))
def test_weekday_and_clock_stay_true_unless_the_hour_does_not_exist(local: datetime, weeks: int) -> None:
    instant, clock = to_instant(local, weeks)
    back = instant.astimezone(NEW_YORK).replace(tzinfo=None)
    expected = local + timedelta(weeks=weeks)
    assert back == (expected + timedelta(hours=1) if clock == "gap" else expected)
    assert expected.weekday() == local.weekday()


@given(local=locals_2019, now=moments)
def test_the_shift_is_the_largest_that_is_not_later_than_now(local: datetime, now: datetime) -> None:
    weeks = whole_weeks_until(local, now)
    assert to_instant(local, weeks)[0] <= now < to_instant(local, weeks + 1)[0]


@given(times=st.lists(locals_2019, min_size=1, max_size=20), now=moments)
def test_no_time_of_many_is_later_than_now(times: list[datetime], now: datetime) -> None:
    weeks = shift_for(times, now)
    assert max(to_instant(time, weeks)[0] for time in times) <= now
    assert max(to_instant(time, weeks + 1)[0] for time in times) > now


def test_a_fold_hour_is_the_first_of_the_two_and_flagged() -> None:
    assert to_instant(datetime(2019, 11, 3, 1, 30), 0) == (datetime(2019, 11, 3, 5, 30, tzinfo=UTC), "fold")
    assert to_instant(datetime(2019, 11, 3, 2, 0), 0) == (datetime(2019, 11, 3, 7, 0, tzinfo=UTC), None)


def test_a_gap_hour_moves_forward_and_is_flagged() -> None:
    assert to_instant(datetime(2019, 3, 10, 2, 30), 0) == (datetime(2019, 3, 10, 7, 30, tzinfo=UTC), "gap")
    assert to_instant(datetime(2019, 3, 10, 3, 0), 0) == (datetime(2019, 3, 10, 7, 0, tzinfo=UTC), None)


def test_a_shift_can_move_a_trip_into_a_fold_that_it_was_not_in() -> None:
    assert to_instant(datetime(2019, 10, 27, 1, 30), 0)[1] is None
    assert to_instant(datetime(2019, 10, 27, 1, 30), 53)[0].astimezone(NEW_YORK).date() == datetime(2020, 11, 1).date()
    assert to_instant(datetime(2019, 10, 27, 1, 30), 53)[1] == "fold"


def test_a_gap_makes_the_smaller_local_time_the_later_instant_and_it_counts() -> None:
    after_the_gap, in_the_gap = datetime(2019, 3, 10, 3, 5), datetime(2019, 3, 10, 2, 50)
    now = datetime(2019, 3, 10, 7, 10, tzinfo=UTC)
    assert to_instant(after_the_gap, 0)[0] <= now < to_instant(in_the_gap, 0)[0]
    assert shift_for([after_the_gap, in_the_gap], now) == -1


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
        datetime(2027, 1, 1, 0, 0, tzinfo=UTC),
        datetime(2028, 2, 29, 12, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 59, tzinfo=UTC),
    ],
)
def test_real_trips_end_within_a_week_before_now(now: datetime) -> None:
    trips = read_trips()
    weeks = shift_to(trips, now)
    latest = max(to_instant(time, weeks)[0] for trip in trips[-2000:] for time in (trip.pickup, trip.dropoff))
    assert now - timedelta(weeks=1, hours=1) < latest <= now


def test_every_file_row_is_read_once_and_ordered() -> None:
    trips = read_trips()
    assert len({(trip.file, trip.row) for trip in trips}) == len(trips) == 120_000
    assert all(earlier.pickup <= later.pickup for earlier, later in pairwise(trips))


def test_amounts_keep_their_cents_and_dirt() -> None:
    rows = [source_row_values(trip, 0) for trip in read_trips()[:20_000]]
    assert any(row[8].startswith("-") for row in rows)
    assert all(len(amount.split(".")[1]) == 2 for row in rows for amount in row[8:12])
    assert [two_places(number) for number in (0.1 + 0.2, -160.0, 2.55, None)] == ["0.30", "-160.00", "2.55", None]
