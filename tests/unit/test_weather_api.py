"""A weather API that misbehaves: what is asked again, what is refused, and what is set aside."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from batch.weather import openmeteo, response
from batch.weather.openmeteo import Question, WeatherApi, questions
from batch.weather.places import PLACES
from catalog.errors import BatchError

TWO = PLACES[:2]
DAY = date(2026, 3, 8)


class Api:
    """A server on loopback that answers each request by the next of `script`; the last one stays."""

    def __init__(self) -> None:
        self.script: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.closing = Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.asked.append(parse_qs(urlsplit(self.path).query))
                (api.script.pop(0) if len(api.script) > 1 else api.script[0])(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # broken connections are what is tested
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def question(self) -> Question:
        return Question(f"http://127.0.0.1:{self.server.server_port}/v1/archive", TWO, DAY, DAY)

    def ask(self, **limits: float) -> bytes:
        with WeatherApi(**limits) as client:
            return client.ask(self.question)[0].read()


def sends(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def resets(handler: BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):  # the client was quicker
        handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    sends(b'[{"lat', Content_Length="1000")(handler)
    resets(handler)


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    yield server
    server.closing.set()
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    return waited


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


def test_a_good_answer_is_read_whole(api):
    api.script = [sends(json.dumps(answer()).encode())]
    readings, refused = read(api.ask())
    assert refused == []
    assert [(each.location_id, each.observed_at) for each in readings] == [
        (place.location_id, datetime(2026, 3, 8, hour, tzinfo=UTC)) for place in TWO for hour in range(24)
    ]
    assert (readings[23].weather_condition, readings[23].precipitation_mm, readings[23].humidity) == ("rain", 1.2, 70)
    assert not any(each.derived for each in readings)
    (query,) = api.asked
    assert query["timezone"] == ["UTC"]
    assert query["latitude"] == ["40.7789,40.8526"]
    assert (query["start_date"], query["end_date"]) == (["2026-03-08"], ["2026-03-08"])


@pytest.mark.parametrize("trouble", [resets, breaks_off, sends(b"", 429), sends(b"", 500), sends(b"", 503)])
def test_what_passes_by_itself_is_asked_again_with_growing_pauses(api, pauses, trouble):
    api.script = [trouble, trouble, sends(b"[]")]
    assert api.ask() == b"[]"
    assert len(pauses) == 2
    assert pauses[0] <= 1 and pauses[1] <= 2


def test_a_silent_server_is_asked_again_then_given_up(api, pauses, monkeypatch):
    monkeypatch.setattr(openmeteo, "TIMEOUT", httpx.Timeout(0.05))
    api.script = [lambda handler: resets(handler) if api.closing.wait(2) else None]
    with pytest.raises(BatchError, match=r"does not answer.*ReadTimeout"):
        api.ask()
    assert len(pauses) == 4
    api.closing.set()


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_how_long_to_wait(api, pauses, status):
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wait = [sends(b"", status, Retry_After="7"), sends(b"", status, Retry_After=in_a_minute), sends(b"[]")]
    api.script = wait
    assert api.ask() == b"[]"
    assert 7 <= pauses[0] <= 8
    assert 40 <= pauses[1] <= 61


def test_a_pause_of_an_hour_is_left_to_the_next_run(api, pauses):
    api.script = [sends(b'{"reason": "Hourly limit exceeded"}', 429, Retry_After="3600")]
    with pytest.raises(BatchError, match="Hourly limit"):
        api.ask()
    assert pauses == []


def test_nonsense_for_retry_after_is_not_followed(api, pauses):
    api.script = [sends(b"", 429, Retry_After="soon"), sends(b"[]")]
    assert api.ask() == b"[]"
    assert pauses[0] <= 1


def test_a_refused_question_is_not_asked_again(api, pauses):
    api.script = [sends(b'{"error":true,"reason":"Parameter start_date is out of range"}', 400)]
    with pytest.raises(BatchError, match=r"400.*out of range"):
        api.ask()
    assert len(api.asked) == 1


def test_tries_count_against_the_budget_of_the_run(api):
    api.script = [sends(b"", 503)]
    with pytest.raises(BatchError, match="budget has 1 calls left, this request counts as 2"):
        api.ask(calls=5)
    assert len(api.asked) == 2


def test_a_body_without_end_is_cut_off(api):
    api.script = [sends(b" " * 100_000)]
    with pytest.raises(BatchError, match="more than 50,000 bytes"):
        api.ask(most_bytes=50_000)


def test_a_year_of_every_place_stays_within_the_budget():
    year = list(questions("http://api", PLACES, date(2019, 1, 1), date(2019, 12, 31)))
    assert sum(each.days for each in year) == 365
    assert all(later.first - earlier.last == timedelta(days=1) for earlier, later in pairwise(year))
    assert sum(each.calls for each in year) < openmeteo.CALLS_OF_A_RUN


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
