"""Asks an API of Open-Meteo's shape for whole UTC days of several places, within what its free tier allows.

Parameters and limits: https://open-meteo.com/en/docs, https://open-meteo.com/en/docs/historical-weather-api and
https://open-meteo.com/en/pricing. A request counts as a call for each place, times days / 14 above 14 days.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import BinaryIO

import httpx

from batch.retries import passes, retrying
from batch.weather.places import Place
from catalog.errors import BatchError, UnavailableError

VARIABLES = ("temperature_2m", "relative_humidity_2m", "wind_speed_10m", "precipitation", "weather_code")
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
MOST_BYTES = 32 << 20
"""A quarter of a year of eight places is about 1 MB."""
DAYS_OF_A_REQUEST = 92
"""So that a try that fails costs a quarter of a year, not the whole."""
CALLS_OF_A_RUN = 400
"""Of the free tier's 10,000 a day, 5,000 an hour and 600 a minute: a run an hour stays below each, whatever fails."""
_REMEDY = "run the step again later, or set LAKE_WEATHER_SOURCE=record"


@dataclass(frozen=True, slots=True)
class Question:
    """The UTC days `first` to `last` of some places, from one interface of the API."""

    url: str
    places: tuple[Place, ...]
    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def calls(self) -> float:
        """What one try costs."""
        return len(self.places) * max(1.0, self.days / 14)

    @property
    def parameters(self) -> dict[str, str]:
        """The query's."""
        return {
            "latitude": ",".join(str(place.latitude) for place in self.places),
            "longitude": ",".join(str(place.longitude) for place in self.places),
            "start_date": self.first.isoformat(),
            "end_date": self.last.isoformat(),
            "hourly": ",".join(VARIABLES),
            "timezone": "UTC",
        }


def questions(url: str, places: Sequence[Place], first: date, last: date) -> Iterator[Question]:
    """The days in requests of at most DAYS_OF_A_REQUEST."""
    while first <= last:
        until = min(last, first + timedelta(days=DAYS_OF_A_REQUEST - 1))
        yield Question(url, tuple(places), first, until)
        first = until + timedelta(days=1)


class WeatherApi:
    """One run's conversation with the API. Every try counts against the run's budget of calls."""

    def __init__(self, *, calls: float = CALLS_OF_A_RUN, most_bytes: int = MOST_BYTES) -> None:
        self._calls, self._most_bytes = calls, most_bytes
        self._client = httpx.Client(timeout=TIMEOUT, headers={"Accept": "application/json"})

    def __enter__(self) -> WeatherApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, question: Question) -> tuple[BinaryIO, str]:
        """The answer's bytes, unread, and the URL that gave them. Tries again what passes by itself.

        Raises UnavailableError when the API stays away, BatchError when it refuses, says too much or costs too much.
        """
        try:
            return retrying()(self._try, question)
        except httpx.HTTPStatusError as refused:
            kind = UnavailableError if passes(refused) else BatchError
            raise kind(str(refused), remedy=_REMEDY) from refused
        except (httpx.RequestError, httpx.InvalidURL) as away:
            raise UnavailableError(f"{question.url} does not answer: {away!r}", remedy=_REMEDY) from away

    def _try(self, question: Question) -> tuple[BinaryIO, str]:
        if question.calls > self._calls:
            raise BatchError(
                f"{question.url}: the run's budget has {self._calls:.0f} calls left, this request counts as"
                f" {question.calls:.0f}",
                remedy=_REMEDY,
            )
        self._calls -= question.calls
        with self._client.stream("GET", question.url, params=question.parameters) as answer:
            body = io.BytesIO()
            for block in answer.iter_bytes():
                body.write(block)
                if body.tell() > self._most_bytes:
                    raise BatchError(
                        f"{answer.url} sent more than {self._most_bytes:,} bytes", remedy="ask for fewer days"
                    )
        if not answer.is_success:
            reason = f"{answer.url} answered {answer.status_code}: {body.getvalue()[:300]!r}"
            raise httpx.HTTPStatusError(reason, request=answer.request, response=answer)
        body.seek(0)
        return body, str(answer.url)
