"""What is taken from an answer of Open-Meteo's shape. Units are read from each answer, never assumed.

An answer of another shape, with another unit or for another place is refused as a whole, with the reason. An hour
without a temperature, outside of what was asked or contradicting itself is set aside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

from batch.weather.openmeteo import VARIABLES, Question
from batch.weather.readings import Reading, Refused, instant, repeated, wrong
from catalog.errors import UnavailableError

GRID_DEGREES = 0.3
"""An answer is for the nearest cell of the model's grid: a quarter of a degree in the archive, finer elsewhere."""
CONDITIONS = {
    **dict.fromkeys((0, 1), "clear"),
    **dict.fromkeys((2, 3), "cloudy"),
    **dict.fromkeys((45, 48), "fog"),
    **dict.fromkeys((51, 53, 55, 56, 57), "drizzle"),
    **dict.fromkeys((61, 63, 65, 66, 67, 80, 81, 82), "rain"),
    **dict.fromkeys((71, 73, 75, 77, 85, 86), "snow"),
    **dict.fromkeys((95, 96, 99), "thunderstorm"),
}
"""WMO's codes of present weather as https://open-meteo.com/en/docs lists them."""
_CONVERT: dict[str, Callable[[float], float]] = {
    "°F": lambda value: (value - 32) * 5 / 9,
    "mp/h": lambda value: value * 1.609344,
    "mph": lambda value: value * 1.609344,
    "m/s": lambda value: value * 3.6,
    "kn": lambda value: value * 1.852,
    "inch": lambda value: value * 25.4,
}
"""To °C, km/h and mm, from the other units that the API knows."""


class _Units(BaseModel):
    time: Literal["iso8601"]
    temperature_2m: Literal["°C", "°F"]
    relative_humidity_2m: Literal["%"]
    wind_speed_10m: Literal["km/h", "mp/h", "mph", "m/s", "kn"]
    precipitation: Literal["mm", "inch"]
    weather_code: Literal["wmo code"]


class _Hours(BaseModel):
    time: list[str]
    temperature_2m: list[Any]
    relative_humidity_2m: list[Any]
    wind_speed_10m: list[Any]
    precipitation: list[Any]
    weather_code: list[Any]

    @model_validator(mode="after")
    def _equally_long(self) -> _Hours:
        lengths = {name: len(getattr(self, name)) for name in ("time", *VARIABLES)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of unequal length: {lengths}")
        return self


class _Answer(BaseModel):
    latitude: float
    longitude: float
    utc_offset_seconds: Literal[0]
    hourly_units: _Units
    hourly: _Hours


def read(body: bytes, question: Question, source: str) -> tuple[list[Reading], list[Refused]]:
    """Readings and the rows set aside; a row's number counts hours through all places of the answer.

    Raises UnavailableError, which says why, when the answer is not one to this question.
    """
    answers = _answers(body, question, source)
    rows = [
        (place, answer.hourly_units, row)
        for place, answer in zip(question.places, answers, strict=True)
        for row in _rows(answer)
    ]
    reasons = repeated([((place.location_id, row["time"]), tuple(row.values())) for place, _, row in rows])
    readings, refused = [], []
    for number, ((place, units, row), reason) in enumerate(zip(rows, reasons, strict=True)):
        try:
            if reason:
                raise ValueError(reason)
            readings.append(_reading(place.location_id, row, units, question))
        except ValueError as unfit:
            named = {"location": place.name, **row}
            refused.append(Refused.row(source, number, f"{place.name} {row['time']}: {unfit}", named))
    return readings, refused


def _answers(body: bytes, question: Question, source: str) -> list[_Answer]:
    try:
        document = json.loads(body)
    except ValueError as broken:
        raise _refusal(source, f"not JSON ({broken}); it begins {body[:80]!r}") from broken
    if isinstance(document, Mapping) and document.get("error"):
        raise _refusal(source, f"an error in place of weather: {document.get('reason')}")
    try:
        found = TypeAdapter(list[_Answer]).validate_python(document if isinstance(document, list) else [document])
    except ValidationError as invalid:
        first = invalid.errors(include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise _refusal(source, f"{path}: {first['msg']}") from invalid
    if len(found) != len(question.places):
        raise _refusal(source, f"{len(found)} places where {len(question.places)} were asked for")
    for place, answer in zip(question.places, found, strict=True):
        away = max(abs(answer.latitude - place.latitude), abs(answer.longitude - place.longitude))
        if not away <= GRID_DEGREES:
            raise _refusal(source, f"{answer.latitude}, {answer.longitude} is not {place.name}")
        if len(answer.hourly.time) < question.days * 24:
            raise _refusal(source, f"{len(answer.hourly.time)} hours of {question.days} days")
    return found


def _refusal(source: str, reason: str) -> UnavailableError:
    return UnavailableError(
        f"{source}: the answer is refused: {reason}",
        remedy="fetch again; if it stays so, compare the raw answer with the API's documentation",
    )


def _rows(answer: _Answer) -> Iterator[dict[str, Any]]:
    arrays = {name: getattr(answer.hourly, name) for name in ("time", *VARIABLES)}
    for values in zip(*arrays.values(), strict=True):
        yield {name: _plain(value) for name, value in zip(arrays, values, strict=True)}


def _plain(value: Any) -> Any:
    """Lists and objects as their text, so that every value can be compared."""
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)


def _reading(location_id: int, row: Mapping[str, Any], units: _Units, question: Question) -> Reading:
    """An hour in our units. Raises ValueError, which says what is wrong with it."""
    at = _hour(row["time"], question)
    numbers = {name: _number(name, row[name], getattr(units, name)) for name in VARIABLES}
    temperature, precipitation = numbers["temperature_2m"], numbers["precipitation"]
    if temperature is None or precipitation is None:
        raise ValueError("no temperature or no precipitation")
    code = numbers["weather_code"]
    if code is not None and code not in CONDITIONS:
        raise ValueError(f"weather_code {code} has no meaning")
    reading = Reading(
        location_id=location_id,
        observed_at=at,
        temperature_celsius=round(temperature, 2),
        humidity=numbers["relative_humidity_2m"],
        wind_speed_kmh=numbers["wind_speed_10m"],
        precipitation_mm=precipitation,
        weather_condition=None if code is None else CONDITIONS[int(code)],
        derived=False,
    )
    reason = wrong(reading)
    if reason:
        raise ValueError(reason)
    return reading


def _hour(text: str, question: Question) -> datetime:
    at = instant(text)
    if at.minute or at.second or at.microsecond:
        raise ValueError("not a full hour")
    if not question.first <= at.date() <= question.last:
        raise ValueError(f"not in {question.first} to {question.last}")
    return at


def _number(name: str, value: Any, unit: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError(f"{name} {value!r} is not a number")
    return _CONVERT.get(unit, float)(value)
