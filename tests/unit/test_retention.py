"""Which snapshots expire: none of the last minutes, all but one of each step before, none kept beyond the oldest."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from catalog.retention import AGE_PROPERTY, OLDEST, STEPS, expired

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AGES = st.lists(st.integers(0, 40 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds)), unique=True, min_size=1)


def kept(ages: list[timedelta]) -> set[timedelta]:
    gone = set(expired([(number, NOW - age) for number, age in enumerate(ages)], NOW))
    return {age for number, age in enumerate(ages) if number not in gone}


def test_one_a_second_leaves_a_bounded_number():
    """With the two minutes' that come until the next thinning, and with a hundred that are not worth one."""
    ages = [timedelta(seconds=n) for n in (*range(3600), *range(3600, 3600 * 24 * 31, 20))]
    assert 400 < len(kept(ages)) < 700 - 120 - 100


@given(AGES)
def test_the_newest_stays_and_so_does_all_of_the_last_minutes(ages: list[timedelta]):
    left = kept(ages)
    assert min(ages) in left
    assert left >= {age for age in ages if age <= STEPS[0][0]}


@given(AGES)
def test_every_step_keeps_its_newest_and_no_other(ages: list[timedelta]):
    left, others = kept(ages), set(ages) - {min(ages)}
    assert not {age for age in left & others if age > OLDEST}
    for (younger, _), (oldest, step) in pairwise(STEPS):
        inside = {age for age in others if younger < age <= oldest}
        places = {(NOW - age).timestamp() // step.total_seconds(): age for age in sorted(inside, reverse=True)}
        assert left & inside == set(places.values())


def test_tables_say_the_same_age_as_the_steps():
    assert AGE_PROPERTY == {"history.expire.max-snapshot-age-ms": "2592000000"}
