"""Measures by hand, intervals against counts drawn from the distribution that they promise, and the split by time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.models import intervals, scores
from batch.models.calendar import NEW_YORK
from batch.models.publishing import moved, weeks_between
from batch.models.training import time_split


def test_deviance_by_hand():
    # 2 · (y·ln(y/μ) − (y − μ)): for (0, 0.5) 1.0; for (2, 1) 2·(2·ln 2 − 1); the mean of both
    expected = (1.0 + 2 * (2 * np.log(2) - 1)) / 2
    assert scores.poisson_deviance(np.array([0.0, 2.0]), np.array([0.5, 1.0])) == pytest.approx(expected)


def test_deviance_is_nothing_where_all_was_foreseen():
    counts = np.array([1.0, 3.0, 7.0])
    assert scores.poisson_deviance(counts, counts) == pytest.approx(0)


def test_error_of_sums_by_hand():
    truth, predicted = np.array([1.0, 0.0, 2.0, 5.0]), np.array([0.5, 0.5, 1.0, 7.0])
    borough, hour = np.array(["Queens", "Queens", "Queens", "Bronx"]), np.array([1, 1, 2, 1])
    # Queens at 1: 1 against 1; Queens at 2: 2 against 1; Bronx at 1: 5 against 7
    assert scores.grouped_error(truth, predicted, borough, hour) == pytest.approx((0 + 1 + 2) / 3)


def test_coverage_counts_the_ends():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    assert scores.coverage(truth, np.array([0.0, 0, 3, 0]), np.array([0.0, 1, 4, 2])) == 0.5


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_dispersion_is_found_again_and_coverage_is_as_promised(spread):
    drawn = np.random.default_rng(7)
    mean = drawn.gamma(0.3, 2.0, 200_000) + 0.01
    rate = mean if spread == 0 else mean * drawn.gamma(1 / spread, spread, mean.size)
    counts = drawn.poisson(rate).astype(float)
    found = intervals.dispersion(counts, mean)
    assert found == pytest.approx(spread, abs=0.03)
    lower, upper = intervals.count_interval(mean, found)
    held = scores.coverage(counts, lower, upper)
    assert held >= intervals.LEVEL
    assert held == pytest.approx(intervals.expected_coverage(mean, found, lower, upper), abs=0.005)


def test_intervals_are_no_wider_than_they_must_be():
    lower, upper = intervals.count_interval(np.array([0.02, 4.0]), 0.0)
    assert list(zip(lower, upper, strict=True)) == [(0, 0), (1, 8)]


def test_fares_fall_into_nine_intervals_of_ten():
    drawn = np.random.default_rng(3)
    predicted = drawn.uniform(5, 60, 20_000)
    truth = predicted * drawn.normal(1, 0.2, predicted.size)
    share = intervals.relative_error_quantile(truth[:10_000], predicted[:10_000])
    ends = predicted[10_000:] * (1 - share), predicted[10_000:] * (1 + share)
    assert scores.coverage(truth[10_000:], *ends) == pytest.approx(intervals.LEVEL, abs=0.01)


def test_a_year_is_scored_on_its_last_month():
    year = [datetime(2019, 1, 1, tzinfo=NEW_YORK), datetime(2020, 1, 1, tzinfo=NEW_YORK)]
    split = time_split(*(time.astimezone(UTC) for time in year))
    assert split.test == datetime(2019, 12, 1, tzinfo=NEW_YORK)
    assert split.validation == datetime(2019, 11, 1, tzinfo=NEW_YORK)


@given(st.datetimes(datetime(2018, 1, 1), datetime(2026, 1, 1)), st.integers(200, 20_000))
def test_parts_follow_each_other(first, hours):
    first = first.replace(tzinfo=UTC)
    until = first + timedelta(hours=hours)
    split = time_split(first, until)
    assert first < split.first < split.validation < split.test < split.end == until
    times = np.array(
        [(first + n * timedelta(hours=hours / 40)).replace(tzinfo=None) for n in range(40)], "datetime64[us]"
    )
    parts = list(split.part(times))
    assert set(parts) == {"", "train", "validation", "test"}
    assert parts == sorted(parts, key=["", "train", "validation", "test"].index)


@given(st.datetimes(datetime(2019, 6, 1), datetime(2030, 1, 1)))
def test_now_is_moved_into_the_record_by_whole_weeks(now):
    known_until, now = datetime(2019, 5, 1, 4, tzinfo=UTC), now.replace(tzinfo=UTC)
    weeks = weeks_between(known_until, now)
    back = moved(now, -weeks)
    assert known_until - timedelta(days=7, hours=1) <= back <= known_until
    local = [time.astimezone(NEW_YORK) for time in (now, back)]
    assert local[0].weekday() == local[1].weekday()
