"""`realtime.zone_activity` from the sums of `realtime.trip_aggregations`; pure but for two caches.

Each window of five minutes counts in the twelve window ends after it. It stands as 0 in the thirteenth, so that a zone
which fell silent has one row that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.tables import realtime
from catalog.tables.realtime import KEPT_DAYS, WEEKS, WINDOW, weeks_before
from streaming.windows import MONEY, PER_DAY, PER_HOUR, instants

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEVERAL_DAYS = 7 * max(WEEKS) + 2
"""So far back, in days, reaches what a day's activity is made from: a clock change moves it into the day before."""


class HourlyPickups:
    """Pickups of the last hour at the window ends of a day: `end`, `zone`, `trips`, `revenue`, in this order."""

    def __init__(self, sums_of_day: Callable[[int], pa.Table]) -> None:
        self._sums_of_day = sums_of_day
        self._known: dict[int, pa.Table] = {}

    def forget(self, days: Iterable[int]) -> None:
        """Sums of these days have changed."""
        for day in days:
            self._known.pop(day, None)
            self._known.pop(day + 1, None)

    def keep(self, first: int) -> None:
        """Hold no days before this one."""
        self._known = {day: pickups for day, pickups in self._known.items() if day >= first}

    def of_day(self, day: int) -> pa.Table:
        """The window ends within a day, its first instant included."""
        if day not in self._known:
            self._known[day] = self._made(day)
        return self._known[day]

    def _made(self, day: int) -> pa.Table:
        sums = pa.concat_tables([self._sums_of_day(day - 1), self._sums_of_day(day)])
        sums = sums.select([0, 1, 2, 3]).rename_columns(["window", "zone", "trips", "revenue"])
        after = np.tile(np.arange(1, PER_HOUR + 2), len(sums))
        rows = sums.take(pa.array(np.repeat(np.arange(len(sums)), PER_HOUR + 1)))
        ends = rows["window"].to_numpy() + after
        counts = pa.array(after <= PER_HOUR)
        zero = pa.scalar(0).cast(MONEY)
        spread = pa.table(
            {
                "end": ends,
                "zone": rows["zone"],
                "trips": pc.if_else(counts, rows["trips"], 0),
                "revenue": pc.if_else(counts, rows["revenue"], zero),
            }
        ).filter(pa.array(ends // PER_DAY == day))
        found = spread.group_by(["end", "zone"], use_threads=False).aggregate([("trips", "sum"), ("revenue", "sum")])
        found = found.rename_columns(["end", "zone", "trips", "revenue"])
        return found.sort_by([("end", "ascending"), ("zone", "ascending")])


def affected(day: int, today: int) -> set[int]:
    """Kept days whose activity is made from a day's windows."""
    distances = {0, 1, *(7 * weeks + shift for weeks in WEEKS for shift in (-1, 0, 1, 2))}
    return {day + distance for distance in distances if today - KEPT_DAYS < day + distance <= today}


def activity_rows(pickups: HourlyPickups, day: int, last_end: int) -> pa.Table:
    """The rows of a day up to a window end."""
    found = pickups.of_day(day)
    found = found.filter(pc.less_equal(found["end"], last_end))
    trips = found["trips"].to_numpy()
    usual = _usual(pickups, day, found["end"].to_numpy(), found["zone"].to_numpy())
    return pa.table(
        {
            "zone_id": found["zone"],
            "activity_timestamp": instants(found["end"].to_numpy()),
            "activity_score": trips / np.maximum(usual, realtime.LEAST_USUAL),
            "revenue_last_hour": found["revenue"],
            "pickup_count": found["trips"],
        }
    )


def _usual(pickups: HourlyPickups, day: int, ends: np.ndarray, zones: np.ndarray) -> np.ndarray:
    """The mean pickups of the same clock hours of the weeks before."""
    total = np.zeros(len(ends))
    for weeks in WEEKS:
        wanted = _ends_before(day, weeks)[ends - day * PER_DAY]
        for held in np.unique(wanted // PER_DAY):
            total += _looked_up(pickups.of_day(int(held)), wanted, zones)
    return total / len(WEEKS)


@lru_cache(maxsize=512)
def _ends_before(day: int, weeks: int) -> np.ndarray:
    """The window ends that correspond to those of a day, so many weeks before."""
    ends = range(day * PER_DAY, (day + 1) * PER_DAY)
    return np.array([(weeks_before(as_instant(end), weeks) - _EPOCH) // WINDOW for end in ends], dtype=np.int64)


def _looked_up(pickups: pa.Table, ends: np.ndarray, zones: np.ndarray) -> np.ndarray:
    """Trips by (end, zone), 0 where there are none."""
    held = _packed(pickups["end"].to_numpy(), pickups["zone"].to_numpy())
    wanted = _packed(ends, zones)
    if not held.size:
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return np.where(held[at] == wanted, pickups["trips"].to_numpy()[at], 0)


def _packed(ends: np.ndarray, zones: np.ndarray) -> np.ndarray:
    """Numbers that order as (end, zone) do."""
    return (ends.astype(np.int64) << 32) + zones.astype(np.int64)


def window_end(now: datetime) -> int:
    """The end of the window that is open at an instant."""
    return (now - _EPOCH) // WINDOW + 1


def oldest_needed(today: int) -> int:
    """The first day that the activity of the kept days is made from."""
    return today - KEPT_DAYS + 1 - _SEVERAL_DAYS


def as_instant(end: int) -> datetime:
    """The instant of a window end."""
    return _EPOCH + end * WINDOW
