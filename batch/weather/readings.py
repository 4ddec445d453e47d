"""One hour of weather at one place, the input that is not one, and the table's rows that they become."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa

from batch.control import arrow_schema
from catalog.tables.weather import HOURLY_WEATHER, RANGES


@dataclass(frozen=True, slots=True)
class Reading:
    """An hour; units and meaning as in weather.hourly_weather, `observed_at` an aware UTC time."""

    location_id: int
    observed_at: datetime
    temperature_celsius: float
    humidity: float | None
    wind_speed_kmh: float | None
    precipitation_mm: float
    weather_condition: str | None
    derived: bool
    shift_weeks: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """An input row that is not published: its number in the source from 0, what is wrong with it, and its text."""

    source: str
    source_row: int
    reason: str
    raw: str

    @classmethod
    def row(cls, source: str, number: int, reason: str, values: Any) -> Refused:
        """From the values of the row, which become JSON."""
        return cls(source, number, reason, json.dumps(values, ensure_ascii=False))


def wrong(reading: Reading) -> str | None:
    """Why these values cannot be an hour's weather, None when they can."""
    for column, (low, high) in RANGES.items():
        value = getattr(reading, column)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            return f"{column} {value} does not lie in {low} to {high}"
    return None


Value = TypeVar("Value", bound=Hashable)


def repeated(rows: Sequence[tuple[Hashable, Value]]) -> list[str | None]:
    """For each (key, value) why it is not taken for its key, None where it is.

    Of rows that agree the first is taken; of rows that contradict each other none.
    """
    values = Counter(key for key, _ in set(rows))
    seen: set[tuple[Hashable, Value]] = set()
    reasons: list[str | None] = []
    for row in rows:
        if values[row[0]] > 1:
            reasons.append("it is there more than once, with different values")
        else:
            reasons.append("it is there once more, with the same values" if row in seen else None)
        seen.add(row)
    return reasons


def table_rows(readings: Iterable[Reading], known_until: datetime | None, source: str, fetch_id: str) -> pa.Table:
    """Rows of weather.hourly_weather; hours from `known_until` on were forecast then."""
    rows = []
    for reading in readings:
        at = reading.observed_at
        forecast_at = known_until if known_until is not None and at >= known_until else None
        row = asdict(reading) | {"forecast_at": forecast_at, "source": source, "fetch_id": fetch_id}
        rows.append(row | {"year": at.year, "month": at.month, "day": at.day})
    return pa.Table.from_pylist(rows, schema=arrow_schema(HOURLY_WEATHER))


def instant(text: str) -> datetime:
    """The aware UTC time of an ISO 8601 text; without an offset it is UTC already."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
