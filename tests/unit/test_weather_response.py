"""An API's answer: what is read, what is refused as a whole, and which hours are set aside."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from batch.weather import response
from batch.weather.openmeteo import Question
from batch.weather.places import PLACES
from catalog.errors import BatchError

TWO = PLACES[:2]
DAY = date(2026, 3, 8)


def answer(**changed: Any) -> list[dict[str, Any]]:
    """Two places, a UTC day each; `changed` replaces parts of the first one's hours, None removes them."""
    answers = []
    for place in TWO:
        hours = {
            "time": [f"{DAY}T{hour:02d}:00" for hour in range(24)],
            "temperature_2m": [5.0 + hour / 10 for hour in range(24)],
            "relative_humidity_2m": [70] * 24,
            "wind_speed_10m": [12.5] * 24,
            "precipitation": [0.0] * 23 + [1.2],
            "weather_code": [3] * 23 + [61],
        }
        units = {
            "time": "iso8601",
            "temperature_2m": "°C",
            "relative_humidity_2m": "%",
            "wind_speed_10m": "km/h",
            "precipitation": "mm",
            "weather_code": "wmo code",
        }
        answers.append(
            {
                "latitude": round(place.latitude, 1),
                "longitude": round(place.longitude, 1),
                "utc_offset_seconds": 0,
                "hourly_units": units,
                "hourly": hours,
            }
        )
    first = answers[0]["hourly"]
    first |= changed
    for name in [name for name, values in first.items() if values is None]:
        del first[name]
    return answers


def read(document: Any) -> tuple[list[Any], list[Any]]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return response.read(body, Question("http://api", TWO, DAY, DAY), "http://api?…")


def changed_at(index: int, name: str, value: Any) -> list[dict[str, Any]]:
    document = answer()
    document[0]["hourly"][name][index] = value
    return document


def test_a_good_answer_is_read_whole():
    readings, refused = read(answer())
    assert refused == []
    assert [(each.location_id, each.observed_at) for each in readings] == [
        (place.location_id, datetime(2026, 3, 8, hour, tzinfo=UTC)) for place in TWO for hour in range(24)
    ]
    assert (readings[23].weather_condition, readings[23].precipitation_mm, readings[23].humidity) == ("rain", 1.2, 70)
    assert not any(each.derived for each in readings)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<html><title>Sign in to the network</title></html>", "not JSON.*Sign in"),
        (json.dumps(answer()).encode()[:-400], "not JSON"),
        (b"", "not JSON"),
        ({"error": True, "reason": "Too many concurrent requests"}, "Too many concurrent requests"),
        (answer(precipitation=None), r"hourly\.precipitation: Field required"),
        (answer(temperature_2m=[1.0] * 23), "unequal length.*'temperature_2m': 23"),
        (answer(wind_speed_10m=None, windspeed_10m=[1.0] * 24), r"hourly\.wind_speed_10m"),
        (answer()[:1], "1 places where 2 were asked for"),
        (answer()[0], "1 places where 2 were asked for"),
        ([answer()[0] | {"latitude": 52.5, "longitude": 13.4}, answer()[1]], "52.5, 13.4 is not Central Park"),
        ([answer()[0] | {"latitude": float("nan")}, answer()[1]], "is not Central Park"),
        ([answer()[0] | {"utc_offset_seconds": -18000}, answer()[1]], "utc_offset_seconds"),
        ([answer()[0] | {"hourly_units": answer()[0]["hourly_units"] | {"temperature_2m": "K"}}, answer()[1]], "°C"),
        ([answer()[0] | {"hourly_units": {}}, answer()[1]], r"hourly_units\.time"),
        ([], "0 places"),
        ([each | {"hourly": {name: [] for name in each["hourly"]}} for each in answer()], "0 hours of 1 days"),
        (3, "valid dictionary"),
    ],
)
def test_an_answer_of_another_shape_is_refused_with_the_reason(document, reason):
    with pytest.raises(BatchError, match=reason):
        read(document)


def test_other_units_are_converted():
    document = answer(temperature_2m=[50.0] * 24, wind_speed_10m=[10.0] * 24, precipitation=[1.0] * 24)
    document[0]["hourly_units"] |= {"temperature_2m": "°F", "wind_speed_10m": "mp/h", "precipitation": "inch"}
    readings, _ = read(document)
    first = readings[0]
    assert (first.temperature_celsius, first.wind_speed_kmh, first.precipitation_mm) == (
        10.0,
        pytest.approx(16.09344),
        pytest.approx(25.4),
    )
    assert readings[24].temperature_celsius == 5.0


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("temperature_2m", None, "no temperature"),
        ("precipitation", None, "no temperature or no precipitation"),
        ("temperature_2m", "5.0", "is not a number"),
        ("temperature_2m", True, "is not a number"),
        ("temperature_2m", [5.0], "is not a number"),
        ("temperature_2m", float("nan"), "is not a number"),
        ("temperature_2m", -999, "does not lie in -50 to 55"),
        ("relative_humidity_2m", 101, "does not lie in 0 to 100"),
        ("wind_speed_10m", float("inf"), "is not a number"),
        ("precipitation", -0.1, "does not lie in 0 to 200"),
        ("weather_code", 42, "has no meaning"),
        ("time", "2026-03-08T05:30", "not a full hour"),
        ("time", "yesterday", "yesterday"),
        ("time", "2026-04-08T05:00", "not in 2026-03-08 to 2026-03-08"),
    ],
)
def test_an_hour_that_is_none_is_set_aside_and_the_others_are_read(name, value, reason):
    readings, refused = read(changed_at(5, name, value))
    assert len(readings) == 47
    assert [each.source_row for each in refused] == [5]
    assert reason in refused[0].reason
    assert name in json.loads(refused[0].raw)


@pytest.mark.parametrize("name", ["relative_humidity_2m", "wind_speed_10m", "weather_code"])
def test_what_may_be_unknown_is_null(name):
    readings, refused = read(changed_at(5, name, None))
    assert (len(readings), refused) == (48, [])


def test_an_hour_that_is_there_twice_counts_once_if_both_agree_and_not_if_they_differ():
    document = answer()
    for name, values in document[0]["hourly"].items():
        values += [values[3], values[4] if name != "temperature_2m" else 30.0]
    readings, refused = read(document)
    hours = [each.observed_at.hour for each in readings if each.location_id == 1]
    assert hours == [0, 1, 2, 3, *range(5, 24)]
    assert [(each.source_row, "same values" in each.reason) for each in refused] == [
        (4, False),
        (24, True),
        (25, False),
    ]
    assert len(readings) + len(refused) == 50
