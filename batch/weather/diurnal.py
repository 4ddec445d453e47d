"""Hours derived from daily weather: temperature by a curve through the day's extremes, the rest spread over the day.

- Temperature: lowest at 06:00 and highest at 15:00 New York time, half a cosine wave between one extreme and the next,
  so that it is smooth over midnight. Where the neighbour's extreme would pull an hour out of its own day's range, the
  wave is bent at midnight to a value that both days allow.
- Precipitation: the same in every hour of the day, of which there are 23 and 25 when the clock changes.
- Wind: the day's mean in every hour. Humidity: not known from a daily record.
- Condition: `dry` without precipitation; `snow` on a day with new snow while it is at most 2 °C; otherwise `rain`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
LOWEST, HIGHEST = time(6), time(15)
"""Usual hours of the day's extremes, local: about sunrise, and three hours after noon."""
SNOW_CELSIUS = 2.0
"""Above this snow seldom reaches the ground as snow."""
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Day:
    """One day's weather: °C, mm, km/h (None where unknown), and whether new snow was measured."""

    low: float
    high: float
    precipitation_mm: float
    wind_speed_kmh: float | None
    snow: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of a day; `at` is its begin in UTC, `temperature` is rounded to a hundredth of a degree."""

    at: datetime
    day: date
    temperature: float
    precipitation_mm: float
    condition: str


def hours(days: Mapping[date, Day]) -> Iterator[Hour]:
    """Every hour of these New York days, in order. A day without a neighbour stands in for it."""
    for each, day in sorted(days.items()):
        begin, end = _at(each, time(0)), _at(each + _DAY, time(0))
        count = (end - begin) // _HOUR
        rain = day.precipitation_mm / count
        for number in range(count):
            at = begin + number * _HOUR
            celsius = round(min(max(_temperature(days, each, at), day.low), day.high), 2)
            yield Hour(at, each, celsius, rain, _condition(day, celsius))


def _temperature(days: Mapping[date, Day], each: date, at: datetime) -> float:
    day = days[each]
    lowest, highest = _at(each, LOWEST), _at(each, HIGHEST)
    if at < lowest:
        return _night(days.get(each - _DAY, day), day, each, at)
    if at > highest:
        return _night(day, days.get(each + _DAY, day), each + _DAY, at)
    return day.low + (day.high - day.low) * _wave(at, lowest, highest)


def _night(evening: Day, morning: Day, morning_date: date, at: datetime) -> float:
    """Between the evening's highest and the morning's lowest, through a value at midnight that both days allow."""
    highest, lowest = _at(morning_date - _DAY, HIGHEST), _at(morning_date, LOWEST)
    midnight = _at(morning_date, time(0))
    at_midnight, fallen = _wave(midnight, highest, lowest), _wave(at, highest, lowest)
    middle = _allowed(evening, morning, evening.high + (morning.low - evening.high) * at_midnight)
    if at < midnight:
        return evening.high + (middle - evening.high) * fallen / at_midnight
    return middle + (morning.low - middle) * (fallen - at_midnight) / (1 - at_midnight)


def _allowed(evening: Day, morning: Day, value: float) -> float:
    """The nearest value in both days' ranges; halfway between them where they do not meet."""
    low, high = max(evening.low, morning.low), min(evening.high, morning.high)
    return (low + high) / 2 if low > high else min(max(value, low), high)


def _wave(at: datetime, begin: datetime, end: datetime) -> float:
    """0 at `begin`, 1 at `end`, half a cosine wave between."""
    return (1 - math.cos(math.pi * ((at - begin) / (end - begin)))) / 2


def _condition(day: Day, celsius: float) -> str:
    if not day.precipitation_mm:
        return "dry"
    return "snow" if day.snow and celsius <= SNOW_CELSIUS else "rain"


@lru_cache(maxsize=1024)
def _at(day: date, clock: time) -> datetime:
    """The UTC instant of a New York clock time that exists once; midnight, 06:00 and 15:00 do on every day."""
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)
