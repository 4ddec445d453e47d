"""The thread that keeps the real-time tables behind the mirror, so that an epoch waits for none of it.

The driver leaves the mirror's newest view here after each epoch. The thread takes the newest one whenever it is free:
after a backlog it takes one large step in the place of many. While large epochs come it holds back, so that the
machine is theirs. Whatever fails, it starts again from what the tables say.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from catalog.errors import LakehouseError
from catalog.settings import Settings
from catalog.tables.realtime import TRIP_AGGREGATIONS, WATCHED, ZONE_ACTIVITY
from streaming.daily import DailyTable, ensure_table
from streaming.differences import View
from streaming.errands import FAILURES
from streaming.files import FileCache
from streaming.iceberg import MAIN, Lake
from streaming.realtime import RealtimeTables
from streaming.table import TableStream
from streaming.windows import Measures

log = structlog.get_logger()

_CACHE_BYTES = 128 << 20
_LEAST_SECONDS = 0.4
"""From the start of one step to the start of the next."""
_BACKLOG_EVENTS = 5_000
"""An epoch of more than these belongs to a backlog."""
_CALM_SECONDS, _LONGEST_SECONDS = 1.0, 10.0
"""After a large epoch it waits for so long a pause, but never longer than the second."""
_TICK_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Offer:
    """The mirror after an epoch: its events so far, and when the newest of them was committed in the source."""

    view: View
    mirror: str
    events: int
    newest: datetime | None
    at: float = field(default_factory=time.monotonic)


class Following:
    """`offer` and `held` are called by the driver; everything else happens in the thread. `status` is for people."""

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake, self._settings = lake, settings
        self._offered: Offer | None = None
        self._wake, self._ending = threading.Event(), threading.Event()
        self._large_at = self._waiting_since = 0.0
        self._steps = ThreadPoolExecutor(1, "realtime")
        self._files = ThreadPoolExecutor(8, "realtime-file")
        self._tables: RealtimeTables | None = None
        self._is_loaded = False
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self.status: dict[str, Any] = {"state": "waiting", "reason": ""}

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def end(self) -> None:
        """Finish the step under way, and no more."""
        self._ending.set()
        self._wake.set()
        self._thread.join(20)

    def offer(self, stream: TableStream) -> None:
        """Leave the newest state of the watched mirror; nothing while a first copy is under way. No epoch may run."""
        mirror = stream.mirror
        if stream.name != WATCHED.table or mirror.branch != MAIN or mirror.head is None:
            return
        progress, before = stream.progress, self._offered
        view = View(mirror.head, mirror.committed, dict(mirror.files))
        offered = Offer(view, mirror.table.identifier, progress.events, progress.newest_change_at)
        if before is not None and offered.events - before.events > _BACKLOG_EVENTS:
            self._large_at = offered.at
        if before is None or before.view.snapshot != view.snapshot:
            self._offered = offered
            self._waiting_since = self._waiting_since or offered.at
            self._wake.set()

    def held(self) -> set[int]:
        """Snapshots of the mirror that must not expire: those that a difference may still be told from."""
        tables, offered = self._tables, self._offered
        held = {offered.view.snapshot} if offered else set()
        if tables is not None:
            held |= {tables.base.snapshot} if tables.base else set()
            held |= {tables.position.made_from} if tables.position and tables.position.made_from else set()
        return held

    def _run(self) -> None:
        pause = 1.0
        while not self._ending.is_set():
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            self._hold_back()
            offered, self._waiting_since = self._offered, 0.0
            if offered is None or self._ending.is_set():
                continue
            started = time.monotonic()
            failure = self._steps.submit(self._step, offered).exception()
            if failure is None:
                pause = 1.0
                self._ending.wait(max(0.0, started + _LEAST_SECONDS - time.monotonic()))
                continue
            self._failed(failure, pause)
            self._ending.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._wake.set()

    def _hold_back(self) -> None:
        """Wait until large epochs have passed, or for too long."""
        while not self._ending.is_set():
            now = time.monotonic()
            waited = now - self._waiting_since if self._waiting_since else 0.0
            if now - self._large_at > _CALM_SECONDS or waited > _LONGEST_SECONDS:
                return
            self._ending.wait(0.1)

    def _failed(self, failure: BaseException, pause: float) -> None:
        self._is_loaded = False
        shown = f"{type(failure).__name__}: {failure}"[:500]
        unforeseen = not isinstance(failure, FAILURES)
        log.error("a step of the real-time tables failed", pause=pause, failure=shown, exc_info=unforeseen and failure)
        self.status = {**self.status, "state": "failing", "reason": shown}

    def _step(self, offered: Offer) -> None:
        started, tables = time.monotonic(), self._opened(offered)
        before = tables.position
        tables.follow(offered.view, datetime.now(UTC))
        position = tables.position
        if position is None or (position == before and self.status["state"] == "running"):
            return
        now = datetime.now(UTC)
        self.status = {
            "state": "running",
            "reason": "",
            "position": {str(number): at.next_offset for number, at in position.partitions.items()},
            "lsn": position.lsn,
            "last_commit_at": now.isoformat(),
            "last_step_seconds": round(time.monotonic() - started, 3),
            "seconds_behind_source": round((now - offered.newest).total_seconds(), 3) if offered.newest else None,
        }

    def _opened(self, offered: Offer) -> RealtimeTables:
        """The tables, loaded if the last step failed. Raises LakehouseError when the mirror lacks a column."""
        mirror = self._lake.table(offered.mirror) if not self._is_loaded else None
        if self._tables is None:
            cache: FileCache[pa.Table] = FileCache(_CACHE_BYTES)
            windows, activity = (ensure_table(self._lake, each) for each in (TRIP_AGGREGATIONS, ZONE_ACTIVITY))
            self._tables = RealtimeTables(
                Measures(WATCHED, self._lake.store, cache),
                DailyTable(windows, "window_start", cache, self._files),
                DailyTable(activity, "activity_timestamp", cache, self._files),
            )
        if mirror is not None:
            if missing := set(WATCHED.columns) - set(mirror.arrow_schema.names):
                raise LakehouseError(
                    f"{offered.mirror} lacks {', '.join(sorted(missing))}, which the real-time tables are made from",
                    remedy="name the columns that it has in catalog/tables/realtime.py",
                )
            for table in (self._tables.windows.table, self._tables.activity.table):
                table.refresh()
            self._tables.load(mirror)
            self._is_loaded = True
        return self._tables
