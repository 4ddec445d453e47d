"""Derived hours keep the day's extremes and its rain, and are smooth over midnight and clock changes."""

from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batch.weather import record
from batch.weather.diurnal import NEW_YORK, Day, hours

DAY = timedelta(days=1)
SPRING, AUTUMN = date(2019, 3, 10), date(2019, 11, 3)
"""Days of 23 and 25 hours in New York."""
RECORD, _ = record.read(record.FILE.read_bytes(), "file")

celsius = st.floats(-20, 35).map(lambda value: round(value, 2))
one_day = st.builds(
    lambda low, spread, rain, wind, snow: Day(low, round(low + spread, 2), rain, wind, snow),
    celsius,
    st.floats(0, 20),
    st.sampled_from([0.0, 0.254, 46.5]),
    st.none() | st.floats(0, 60),
    st.booleans(),
)
firsts = st.sampled_from([SPRING, AUTUMN, date(2019, 7, 1)]).flatmap(
    lambda day: st.integers(0, 3).map(lambda before: day - before * DAY)
)
spells = st.tuples(firsts, st.lists(one_day, min_size=1, max_size=5)).map(
    lambda spell: {spell[0] + number * DAY: day for number, day in enumerate(spell[1])}
)


@settings(max_examples=40)
@given(spells)
def test_every_hour_of_every_day_is_there_once_in_order(days):
    times = [hour.at for hour in hours(days)]
    assert all(after - before == timedelta(hours=1) for before, after in pairwise(times))
    for day, of_day in groupby(hours(days), key=lambda hour: hour.at.astimezone(NEW_YORK).date()):
        expected = {SPRING: 23, AUTUMN: 25}.get(day, 24)
        assert len(list(of_day)) == expected


@settings(max_examples=40)
@given(spells)
def test_the_days_extremes_are_reached_and_never_passed(days):
    for day, group in groupby(hours(days), key=lambda hour: hour.day):
        temperatures = [hour.temperature for hour in group]
        assert (min(temperatures), max(temperatures)) == (days[day].low, days[day].high)


@settings(max_examples=40)
@given(spells)
def test_the_hours_rain_is_the_days_rain(days):
    for day, group in groupby(hours(days), key=lambda hour: hour.day):
        assert sum(hour.precipitation_mm for hour in group) == pytest.approx(days[day].precipitation_mm)


@settings(max_examples=40)
@given(spells)
def test_temperature_does_not_jump_where_neighbours_ranges_meet(days):
    assume(all(max(a.low, b.low) <= min(a.high, b.high) for a, b in pairwise(days.values())))
    spread = max(day.high for day in days.values()) - min(day.low for day in days.values())
    steps = [abs(after.temperature - before.temperature) for before, after in pairwise(hours(days))]
    assert max(steps) <= 0.4 * spread + 0.02


@settings(max_examples=40)
@given(spells)
def test_it_snows_only_on_a_day_with_new_snow_and_precipitation(days):
    for hour in hours(days):
        day = days[hour.day]
        assert (hour.condition == "dry") == (day.precipitation_mm == 0)
        assert hour.condition != "snow" or (day.snow and hour.temperature <= 2)


def lines(*rows: str) -> bytes:
    return "\n".join(["STATION,NAME,DATE,AWND,PRCP,SNOW,SNWD,TMAX,TMIN", *rows]).encode()


GOOD = "USW00094728,NY CITY CENTRAL PARK, NY US,2019-03-01,4.47,0.50,1.4,1.2,50,32"


def test_a_line_is_read_from_its_end_and_its_units_converted():
    days, refused = record.read(lines(GOOD), "file")
    assert refused == []
    assert days == {date(2019, 3, 1): Day(0.0, 10.0, pytest.approx(12.7), pytest.approx(7.1938, abs=1e-4), True)}


def test_a_quoted_name_is_read_too():
    quoted = GOOD.replace("NY CITY CENTRAL PARK, NY US", '"NY CITY CENTRAL PARK, NY US"')
    assert record.read(lines(quoted), "file") == record.read(lines(GOOD), "file")


def test_the_wind_is_unknown_where_the_record_has_none():
    days, _ = record.read(lines(GOOD.replace("4.47", "")), "file")
    assert days[date(2019, 3, 1)].wind_speed_kmh is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (GOOD.replace("USW00094728", "USW00014732"), "station"),
        (GOOD.replace("2019-03-01", "2019-02-30"), "day"),
        (GOOD.replace(",50,32", ",32,50"), "lowest above highest"),
        (GOOD.replace(",50,32", ",,32"), "no temperature"),
        (GOOD.replace(",50,32", ",nan,32"), "not a number"),
        (GOOD.replace(",50,32", ",warm,32"), "warm"),
        (GOOD.replace("0.50", "-0.5"), "less than nothing"),
        ("USW00094728,NY CITY", "fields"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_reason(broken, reason):
    other = GOOD.replace("2019-03-01", "2019-03-02")
    days, refused = record.read(lines(other, broken), "file")
    assert list(days) == [date(2019, 3, 2)]
    assert [(each.source, each.source_row) for each in refused] == [("file", 1)]
    assert reason in refused[0].reason


def test_the_same_day_again_is_taken_once_and_a_contradiction_not_at_all():
    again = GOOD.replace("2019-03-01", "2019-03-02")
    days, refused = record.read(lines(GOOD, GOOD.replace(",50,32", ",51,32"), again, again), "file")
    assert list(days) == [date(2019, 3, 2)]
    assert [each.source_row for each in refused] == [0, 1, 3]


def test_the_record_that_ships_is_whole():
    days, refused = record.read(record.FILE.read_bytes(), "file")
    assert refused == []
    assert sorted(days) == [date(2018, 12, 30) + number * DAY for number in range(370)]
    made = list(record.readings(days, date(2019, 1, 1), date(2019, 12, 31), None))
    assert [each.observed_at for each in made] == [
        datetime(2019, 1, 1, tzinfo=UTC) + number * timedelta(hours=1) for number in range(365 * 24)
    ]
    assert {each.shift_weeks for each in made} == {None}


@settings(max_examples=40)
@given(
    first=st.integers(0, 200).map(lambda number: date(2026, 10, 1) + number * DAY),
    span=st.integers(0, 6),
    weeks=st.integers(350, 359),
)
def test_a_moved_hour_is_the_same_whatever_days_it_is_made_with(first, span, weeks):
    whole = list(record.readings(RECORD, first, first + span * DAY, weeks))
    parts = [
        reading
        for number in range(span + 1)
        for reading in record.readings(RECORD, first + number * DAY, first + number * DAY, weeks)
    ]
    assert whole == parts
    assert len(whole) == 24 * (span + 1)
    assert {each.shift_weeks for each in whole} <= {weeks, weeks + 52}


def test_what_lies_before_the_replayed_year_has_no_weather():
    assert record.source_day(RECORD, date(2024, 5, 1), 359) is None
    assert record.source_day(RECORD, date(2026, 5, 1), None) is None
    assert record.source_day(RECORD, date(2019, 5, 1), None) == (date(2019, 5, 1), None)
    assert record.source_day(RECORD, date(2026, 11, 19), 359) == (date(2020, 1, 2), 359)
    assert record.source_day(RECORD, date(2026, 11, 21), 359) == (date(2019, 1, 5), 411)
