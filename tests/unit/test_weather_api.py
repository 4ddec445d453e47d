"""A weather API that misbehaves: what is asked again, how long is waited for it, and when it is given up."""

import contextlib
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

from batch.weather import openmeteo
from batch.weather.openmeteo import Question, WeatherApi, questions
from batch.weather.places import PLACES
from catalog.errors import BatchError, UnavailableError

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


def test_places_and_days_are_asked_for_in_utc(api):
    api.script = [sends(b"[]")]
    assert api.ask() == b"[]"
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
    with pytest.raises(UnavailableError, match=r"does not answer.*ReadTimeout"):
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
    with pytest.raises(UnavailableError, match="Hourly limit"):
        api.ask()
    assert pauses == []


def test_nonsense_for_retry_after_is_not_followed(api, pauses):
    api.script = [sends(b"", 429, Retry_After="soon"), sends(b"[]")]
    assert api.ask() == b"[]"
    assert pauses[0] <= 1


def test_a_refused_question_is_not_asked_again(api, pauses):
    api.script = [sends(b'{"error":true,"reason":"Parameter start_date is out of range"}', 400)]
    with pytest.raises(BatchError, match=r"400.*out of range") as refused:
        api.ask()
    assert not isinstance(refused.value, UnavailableError)
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
