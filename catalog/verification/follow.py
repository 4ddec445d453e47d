"""Verification that goes on in the background: one table after the other, its key ranges under a cap on the CPU.

Each table is compared at a point of its own, so that the Postgres snapshot is held for one table at a time. What is
found is kept by table (catalog/verified.py), where `lake status`, the API and the stream's alerts read it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from catalog.errors import LakehouseError
from catalog.settings import Settings
from catalog.verification.barrier import source_point
from catalog.verification.report import VerificationReport
from catalog.verification.verify import verify

_PAUSE_SECONDS = 10.0
_LONGEST_SLEEP_SECONDS = 30.0


class Pace:
    """Keeps this process below a share of one processor, by sleeping off what it took beyond.

    The reads that it asks Postgres and the store for are not in its own time: they cost about as much again.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._one_at_a_time = threading.Lock()
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def rest(self) -> None:
        """Sleep until the time that was used is the share of the time that went by."""
        with self._one_at_a_time:
            used, passed = time.process_time() - self._cpu, time.monotonic() - self._wall
            if (owed := used / self._share - passed) > 0:
                time.sleep(min(owed, _LONGEST_SLEEP_SECONDS))
            elif owed < -_LONGEST_SLEEP_SECONDS:  # idle time is not saved up for a burst
                self._cpu, self._wall = time.process_time(), time.monotonic()


def follow(
    settings: Settings,
    tables: Sequence[str] | None,
    share: float,
    every: float,
    rounds: int | None,
    timeout: float,
    say: Callable[[str], None],
) -> Iterator[VerificationReport]:
    """Verify the tables, all by default, in rounds at least `every` so many seconds apart; without an end by default.

    Yields each table's report. A component that is away is told by `say`, and asked again later.
    """
    pace = Pace(share)
    for number in count() if rounds is None else range(rounds):
        began = time.monotonic()
        for name in _names(settings, tables, say):
            try:
                yield verify(settings, [name], timeout, rest=pace.rest)
            except LakehouseError as away:
                say(f"{name}: {away}")
                time.sleep(_PAUSE_SECONDS)
        if number + 1 != rounds:
            time.sleep(max(0.0, began + every - time.monotonic()))


def _names(settings: Settings, tables: Sequence[str] | None, say: Callable[[str], None]) -> Sequence[str]:
    """The tables of one round: those that are published now."""
    if tables:
        return tables
    try:
        with source_point(settings) as point:
            return [table.qualified for table in point.tables]
    except LakehouseError as away:
        say(str(away))
        time.sleep(_PAUSE_SECONDS)
        return ()
