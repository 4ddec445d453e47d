"""The daily record of Central Park that ships, its days at their true dates and moved to where the replay put them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from batch.weather.diurnal import Day, hours
from batch.weather.places import CENTRAL_PARK
from batch.weather.readings import Reading, Refused, repeated
from catalog.errors import BatchError
from catalog.settings import SAMPLE

FILE = SAMPLE / "weather" / "central_park_daily_2019.csv"
STATION = "USW00094728"
YEAR = timedelta(weeks=52)
"""By which the record repeats itself where it ends: the nearest number of whole weeks, so that weekdays stay."""
_HEADER = ["STATION", "NAME", "DATE", "AWND", "PRCP", "SNOW", "SNWD", "TMAX", "TMIN"]
_VALUES = len(_HEADER) - 2
"""Fields after the name, which holds an unquoted comma: they are counted from the end of the line."""
_KMH = 1.609344
_MM = 25.4
_DAY = timedelta(days=1)


def read(content: bytes, source: str) -> tuple[dict[date, Day], list[Refused]]:
    """The record's days, and the lines that are not a day of the station or contradict each other.

    Raises BatchError when the columns are not those of the record.
    """
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig", errors="replace"))))
    if not lines or lines[0] != _HEADER:
        raise BatchError(
            f"{source} does not have the columns {', '.join(_HEADER)}", remedy="restore the file as it ships"
        )
    days: list[tuple[int, date, Day]] = []
    refused = []
    for number, line in enumerate(lines[1:]):
        try:
            days.append((number, *_day(line)))
        except ValueError as wrong:
            refused.append(Refused.row(source, number, str(wrong), line))
    reasons = repeated([(day, values) for _, day, values in days])
    taken = {}
    for (number, day, values), reason in zip(days, reasons, strict=True):
        if reason is None:
            taken[day] = values
        else:
            refused.append(Refused.row(source, number, f"{day}: {reason}", lines[number + 1]))
    return taken, refused


def _day(line: Sequence[str]) -> tuple[date, Day]:
    if len(line) < len(_HEADER):
        raise ValueError(f"{len(line)} fields where a day has {len(_HEADER)}")
    if line[0] != STATION:
        raise ValueError(f"station {line[0]}, not {STATION}")
    day, *numbers = line[-_VALUES:]
    wind, rain, snow, _, high, low = (_number(text) for text in numbers)
    if high is None or low is None or rain is None:
        raise ValueError("no temperature or no precipitation")
    if low > high or rain < 0 or (wind or 0) < 0:
        raise ValueError("lowest above highest, or less than nothing of rain or wind")
    values = Day(_celsius(low), _celsius(high), rain * _MM, None if wind is None else wind * _KMH, (snow or 0) > 0)
    return date.fromisoformat(day), values


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number")
    return number


def _celsius(fahrenheit: float) -> float:
    return round((fahrenheit - 32) * 5 / 9, 2)


def source_day(record: dict[date, Day], day: date, shift_weeks: int | None) -> tuple[date, int | None] | None:
    """The record's day that stands for `day`, and the weeks between them; None where none does.

    A day of the record stands for itself, any other for the day that the replay moved to it. Where that lies after the
    record's end, it repeats itself: the same weekday and season a year of 52 weeks before.
    """
    if day in record:
        return day, None
    if shift_weeks is None or not record:
        return None
    origin = day - timedelta(weeks=shift_weeks)
    while origin > max(record):
        origin -= YEAR
    return (origin, (day - origin).days // 7) if origin in record else None


def readings(record: dict[date, Day], first: date, last: date, shift_weeks: int | None) -> Iterator[Reading]:
    """Derived hours of the UTC days `first` to `last`, as far as there are days for them.

    An hour depends on its own day and the neighbours only, so it is the same whatever days it is made with.
    """
    span = [first + number * _DAY for number in range(-2, (last - first).days + 3)]
    origins = {day: found for day in span if (found := source_day(record, day, shift_weeks))}
    days = {day: record[origin] for day, (origin, _) in origins.items()}
    for hour in hours(days):
        if first <= hour.at.date() <= last:
            yield Reading(
                location_id=CENTRAL_PARK,
                observed_at=hour.at,
                temperature_celsius=hour.temperature,
                humidity=None,
                wind_speed_kmh=days[hour.day].wind_speed_kmh,
                precipitation_mm=hour.precipitation_mm,
                weather_condition=hour.condition,
                derived=True,
                shift_weeks=origins[hour.day][1],
            )
