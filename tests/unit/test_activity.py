"""A zone's activity is looked at again wherever the windows that it is made from changed."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from catalog.tables import realtime
from catalog.tables.realtime import KEPT_DAYS, WATCHED, WEEKS, weeks_before
from streaming.activity import HourlyPickups, activity_rows, affected, window_end
from streaming.windows import PER_DAY, Measures, by_day, summed

NOW = datetime(2026, 11, 5, 0, 7, tzinfo=UTC)
"""Four days after New York's clocks went back, so that some weeks before they showed the other time."""
END = window_end(NOW)
TODAY = END // PER_DAY
SCHEMA = Measures(WATCHED, None, None).schema


def trips(*times: datetime) -> pa.Table:
    """The sums of one trip of zone 7 in each window."""
    rows = [(window_end(time) - 1, 7, 1, 2, 2, 1, 3, 1) for time in times]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return summed([pa.Table.from_arrays(arrays, schema=SCHEMA)])


def activity(sums: pa.Table) -> dict[int, list]:
    """All kept days' rows."""
    days = by_day(sums)
    pickups = HourlyPickups(lambda day: days.get(day, SCHEMA.empty_table()))
    return {day: activity_rows(pickups, day, END).to_pylist() for day in range(TODAY - KEPT_DAYS + 1, TODAY + 1)}


@pytest.fixture(autouse=True)
def one_trip_is_usual(monkeypatch):
    monkeypatch.setattr(realtime, "LEAST_USUAL", 1 / 8)


def test_every_day_that_a_window_changes_is_among_the_affected():
    everywhere = trips(*(NOW - timedelta(hours=hours, minutes=30) for hours in range(24 * 8)))
    before, seen = activity(everywhere), set()
    for days in (0, 1, 2, 7, 8, 14, 15, 21, 22, 28, 29, 35):
        changed = NOW - timedelta(days=days, minutes=17)
        day = (window_end(changed) - 1) // PER_DAY
        after = activity(summed([everywhere, trips(changed)]))
        differ = {each for each in before if before[each] != after[each]}
        assert differ <= affected(day, TODAY), changed
        seen |= {each - day for each in differ}
    assert {0, 1} < seen and max(seen) >= 7 * max(WEEKS)


@pytest.mark.parametrize("weeks", WEEKS)
def test_the_same_clock_hour_of_the_weeks_before_is_usual(weeks):
    now, then = NOW - timedelta(minutes=20), weeks_before(NOW - timedelta(minutes=20), weeks)
    scores = [row["activity_score"] for row in activity(trips(now, then))[TODAY] if row["pickup_count"]]
    assert set(scores) == {4.0}, "one pickup, of which a quarter is usual"
    assert {row["activity_score"] for row in activity(trips(now))[TODAY] if row["pickup_count"]} == {8.0}


def test_the_clock_that_went_back_is_read_in_new_york():
    assert weeks_before(datetime(2026, 11, 3, 15, 0, tzinfo=UTC), 1) == datetime(2026, 10, 27, 14, 0, tzinfo=UTC)
    doubtful = datetime(2026, 11, 8, 6, 30, tzinfo=UTC)  # 1:30, an hour that was twice the week before
    assert weeks_before(doubtful, 1) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_zone_that_falls_silent_has_one_row_that_says_so():
    start = NOW - timedelta(hours=5)
    counts = [row["pickup_count"] for rows in activity(trips(start)).values() for row in rows]
    assert counts == [1] * 12 + [0]


def test_the_last_hour_of_a_day_counts_in_the_next_one():
    days = by_day(trips(NOW - timedelta(days=1)))
    pickups = HourlyPickups(lambda day: days.get(day, SCHEMA.empty_table()))
    before = len(pickups.of_day(TODAY))
    days |= by_day(trips(NOW - timedelta(minutes=17)))  # ten minutes before midnight
    pickups.forget([TODAY - 1])
    assert len(pickups.of_day(TODAY)) > before
