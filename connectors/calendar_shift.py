"""Moving New York local times by whole weeks, so that weekday and hour stay true, and making them instants.

A fold hour (the clock goes back: the hour exists twice) is taken as the first of the two. A gap hour (the clock goes
forward: the hour does not exist) is read with the offset from before the gap, so 02:30 becomes 03:30. Both are flagged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Clock = Literal["fold", "gap"]
NEW_YORK = ZoneInfo("America/New_York")
WEEK = timedelta(weeks=1)


def to_instant(local: datetime, shift_weeks: int) -> tuple[datetime, Clock | None]:
    """The UTC instant of a naive New York time after the shift, and what is doubtful about it."""
    shifted = (local + shift_weeks * WEEK).replace(tzinfo=NEW_YORK, fold=0)
    instant = shifted.astimezone(UTC)
    if shifted.utcoffset() == shifted.replace(fold=1).utcoffset():
        return instant, None
    exists = instant.astimezone(NEW_YORK).replace(tzinfo=None) == shifted.replace(tzinfo=None)
    return instant, "fold" if exists else "gap"


def whole_weeks_until(latest: datetime, now: datetime) -> int:
    """The largest shift in weeks that brings a naive New York time to `now`, an aware one, or before."""
    weeks = (now.astimezone(NEW_YORK).replace(tzinfo=None) - latest) // WEEK + 1
    while to_instant(latest, weeks)[0] > now:
        weeks -= 1
    return weeks


def shift_for(times: Iterable[datetime], now: datetime) -> int:
    """The largest shift in weeks after which none of these naive New York times is later than `now`.

    A gap can make a smaller local time the later instant, so the day before the latest one is looked at too.
    """
    ordered = sorted(set(times))
    latest = ordered[-1]
    return min(whole_weeks_until(time, now) for time in ordered if latest - time < timedelta(days=1))
