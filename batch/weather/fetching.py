"""Lands the raw input of a run's days: the record that ships, or an API's answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from batch.job import Job
from batch.landing import land
from batch.shift import replay_shift
from batch.weather import record, response
from batch.weather.openmeteo import Question, WeatherApi, questions
from batch.weather.places import PLACES
from batch.weather.plan import HISTORY, Input, Piece, lacks_history
from catalog.settings import Settings

DATASET = "weather"
ARCHIVE_DELAY = timedelta(days=7)
"""The archive is some days late; what is younger comes from the forecast interface, which holds past days too."""


def from_record(job: Job, own: Piece) -> tuple[list[Piece], str | None]:
    """The record's days once, and the run's own days as the replay moved them; why those are not there."""
    with record.FILE.open("rb") as file:
        landed = land(job.settings, DATASET, record.FILE.name, file, f"data/weather/{record.FILE.name}")
    given = {"inputs": (Input(landed=landed),), "shift_weeks": replay_shift(job.settings)}
    pieces = [HISTORY.model_copy(update=given)] if lacks_history(job.settings, 1, measured=False) else []
    own = own.model_copy(update=given)
    days, _ = record.read(record.FILE.read_bytes(), record.FILE.name)
    if any(record.readings(days, own.first, own.last, own.shift_weeks)):
        return [*pieces, own], None
    why = "the mirror holds no replayed trips" if own.shift_weeks is None else "the replay moved no day there"
    return pieces, f"no weather for {own.interval}: {why}, so that nothing says which days of the record these are"


def from_api(job: Job, own: Piece) -> list[Piece]:
    """2019 of every place from the archive once, and the run's own days from archive and forecast.

    Raises BatchError when an answer is refused; it has landed by then.
    """
    settings, pieces = job.settings, [own]
    if lacks_history(settings, len(PLACES), measured=True):
        pieces = [HISTORY, own]
    with WeatherApi() as api:
        return [
            piece.model_copy(update={"inputs": tuple(_answers(settings, api, piece, datetime.now(UTC).date()))})
            for piece in pieces
        ]


def _answers(settings: Settings, api: WeatherApi, piece: Piece, today: date) -> Iterator[Input]:
    for question in _questions(settings, piece, today):
        content, url = api.ask(question)
        landed = land(settings, DATASET, f"{question.first}_{question.last}.json", content, url)
        content.seek(0)
        response.read(content.read(), question, f"{url}, kept as {landed.uri}")
        yield Input(landed=landed, question=question)


def _questions(settings: Settings, piece: Piece, today: date) -> Iterator[Question]:
    archived = today - ARCHIVE_DELAY
    yield from questions(settings.weather_archive_url, PLACES, piece.first, min(piece.last, archived))
    begin = max(piece.first, archived + timedelta(days=1))
    yield from questions(settings.weather_forecast_url, PLACES, begin, piece.last)
