"""Which UTC days a run of the weather DAG loads: 2019 once, then the run's own interval and the two days after it."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel
from pyiceberg.expressions import And, EqualTo

from batch.job import Run
from batch.landing import Landed
from batch.weather.openmeteo import Question
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.tables.weather import HOURLY_WEATHER, MOST_QUARANTINED

AHEAD = timedelta(hours=48)
"""How far beyond its interval a run asks for the weather."""
RECENT = timedelta(hours=24)
"""What a run without an interval loads: the hours up to the present one."""
_HOUR = timedelta(hours=1)


class Input(BaseModel, frozen=True):
    """Raw input that landed: the record where `question` is None, else the API's answer to it."""

    landed: Landed
    question: Question | None = None


class Piece(BaseModel, frozen=True):
    """Whole UTC days, `first` to `last`, and what they are made of.

    Hours from `known_until` on are forecasts; None where nothing is. `shift_weeks` is how the replay moved the trips,
    None without a replay.
    """

    first: date
    last: date
    known_until: datetime | None = None
    shift_weeks: int | None = None
    inputs: tuple[Input, ...] = ()

    @property
    def interval(self) -> str:
        """How the control tables name it."""
        return f"{self.first}/{self.last}"

    @property
    def source(self) -> str:
        """Where its input came from."""
        return " ".join(each.landed.origin for each in self.inputs)

    @property
    def sha256(self) -> str:
        """Of the input's bytes; of several, of their digests in order."""
        digests = [each.landed.sha256 for each in self.inputs]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


HISTORY = Piece(first=date(2018, 12, 30), last=date(2020, 1, 4))
"""2019, the year of the trips that ship, and what else the record holds."""
HOURS_OF_2019 = 365 * 24


def own_piece(run: Run, now: datetime) -> Piece:
    """The days of the run's interval and of the AHEAD after it.

    A run whose interval is no longer than a moment (by hand, or at a point of a schedule) loads the RECENT hours.
    """
    end = min(run.interval_end or now, now)
    start = run.interval_start if run.interval_start and run.interval_start < end else None
    until = _full_hour(end)
    last = until + AHEAD - _HOUR
    return Piece(first=(start or until - RECENT).date(), last=last.date(), known_until=until)


def _full_hour(at: datetime) -> datetime:
    """The first full hour that is not before `at`."""
    floor = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == at else floor + _HOUR


def lacks_history(settings: Settings, places: int, *, measured: bool) -> bool:
    """Whether the table lacks hours of 2019 for so many places; `measured`: derived hours do not count."""
    catalog = iceberg_catalog(settings)
    if not catalog.table_exists(HOURLY_WEATHER.identifier):
        return True
    wanted = And(EqualTo("year", 2019), EqualTo("derived", False)) if measured else EqualTo("year", 2019)
    held = catalog.load_table(HOURLY_WEATHER.identifier).scan(wanted).count()
    return held < places * HOURS_OF_2019 * (1 - MOST_QUARANTINED)
