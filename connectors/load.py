"""The initial load: real trips, shifted to now, by COPY."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import psycopg

from catalog.errors import SourceError
from catalog.settings import Settings
from connectors.source import SQL, connected
from connectors.tlc import COLUMNS, read_trips, shift_to, source_row_values, spread

Progress = Callable[[int], None]
"""Called with the number of rows or changes that were added since the last call."""
PROGRESS_ROWS = 2000
ALL_TRIPS = 120_000


@dataclass(frozen=True)
class Load:
    """What an initial load found or did."""

    rows: int
    loaded: bool
    shift_weeks: int | None
    shifted_at: datetime | None
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rate of the COPY with reading and shifting."""
        return self.rows / self.seconds if self.seconds else 0.0


def load_trips(
    settings: Settings, rows: int = ALL_TRIPS, progress: Progress | None = None, *, reset: bool = False
) -> Load:
    """Copy `rows` real trips and the lookup tables into the source in one transaction.

    When trips are there already nothing is done; `reset` truncates all three tables first.
    Raises SourceError when the tables are missing.
    """
    started = monotonic()
    with connected(settings, "taxi") as connection, connection.transaction():
        _require_tables(connection)
        if reset:
            connection.execute("truncate trips, vendors, payment_types restart identity")
        connection.execute((SQL / "lookups.sql").read_bytes())
        present = _count(connection)
        if present:
            weeks, at = last_shift(connection)
            return Load(present, False, weeks, at, monotonic() - started)
        now = datetime.now(UTC)
        trips = read_trips()
        weeks = shift_to(trips, now)
        with connection.cursor().copy(f"copy trips ({', '.join(COLUMNS)}) from stdin") as copy:
            for number, (trip, first) in enumerate(spread(trips, rows), start=1):
                copy.write_row(source_row_values(trip, weeks, first=first))
                if progress and number % PROGRESS_ROWS == 0:
                    progress(PROGRESS_ROWS)
        if progress and rows % PROGRESS_ROWS:
            progress(rows % PROGRESS_ROWS)
        connection.execute(
            "insert into replay (mode, shift_weeks, shifted_at, parameters, finished_at)"
            " values ('load', %s, %s, %s, clock_timestamp())",
            [weeks, now, json.dumps({"rows": rows})],
        )
    return Load(rows, True, weeks, now, monotonic() - started)


def last_shift(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[int | None, datetime | None]:
    """Weeks and moment of the latest initial load, None when its record is missing."""
    row = connection.execute(
        "select shift_weeks, shifted_at from replay where mode = 'load' order by replay_id desc limit 1"
    ).fetchone()
    return (row[0], row[1]) if row else (None, None)


def _count(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = connection.execute("select count(*) from trips").fetchone()
    return int(row[0]) if row else 0


def _require_tables(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    row = connection.execute("select to_regclass('public.trips')").fetchone()
    if row is None or row[0] is None:
        raise SourceError("the source has no table trips", remedy="scripts/setup-connectors.sh creates it")
