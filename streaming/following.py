"""The thread that keeps the real-time tables behind the mirror, so that an epoch waits for none of it.

The driver leaves the mirror's newest view here after each epoch. The thread takes the newest one whenever it is free:
after a backlog it takes one large step in the place of many. While large epochs come it holds back, so that the
machine is theirs. Whatever fails, it starts again from what the tables say.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import structlog

from catalog.errors import LakehouseError
from catalog.positions import Position
from catalog.settings import Settings
from catalog.tables.realtime import ALERTS, TRIP_AGGREGATIONS, WATCHED, ZONE_ACTIVITY
from streaming.alerts import Alerts
from streaming.daily import DailyTable, ensure_table
from streaming.differences import View
from streaming.errands import FAILURES
from streaming.fares import FareWatch
from streaming.files import FileCache
from streaming.iceberg import MAIN, Lake
from streaming.realtime import RealtimeTables
from streaming.table import Progress, TableStream
from streaming.watching import Health, Watch
from streaming.webhook import Webhook
from streaming.windows import Measures

log = structlog.get_logger()

_CACHE_BYTES = 128 << 20
_LEAST_SECONDS = 0.4
_MOST_OF_THE_TIME = 0.5
"""From the start of one step to that of the next: at least so long, and so long that steps take no more of the time."""
_BACKLOG_EVENTS = 5_000
"""An epoch of more than these belongs to a backlog."""
_CALM_SECONDS, _LONGEST_SECONDS = 1.0, 30.0
"""After a large epoch it waits so much longer than the next would take, but never longer than the second."""
_START_SECONDS = 5.0
"""At the start of the process, so that the query's first epoch has the machine for itself."""
_TICK_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Offer:
    """The mirror after an epoch, its key, and what the stream has done to it in this run."""

    view: View
    mirror: str
    key: tuple[str, ...]
    progress: Progress
    at: float = field(default_factory=time.monotonic)


class Following:
    """`offer` and `held` are called by the driver; everything else happens in the thread. `status` is for people."""

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake, self._settings = lake, settings
        self._offered: Offer | None = None
        self._wake, self._ending = threading.Event(), threading.Event()
        self._calm_at = self._waiting_since = 0.0
        self._steps = ThreadPoolExecutor(1, "realtime")
        self._files = ThreadPoolExecutor(8, "realtime-file")
        self._following: tuple[RealtimeTables, Watch] | None = None
        self._is_loaded = False
        self._began = datetime.now(UTC)
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
        before, view = self._offered, View(mirror.head, mirror.committed, dict(mirror.files))
        offered = Offer(view, mirror.table.identifier, stream.source.key, replace(stream.progress))
        if before is None or before.view.snapshot != view.snapshot:
            events = offered.progress.events - (before.progress.events if before else 0)
            calm = _CALM_SECONDS + offered.progress.last_epoch_seconds
            self._calm_at = offered.at + calm if events > _BACKLOG_EVENTS else 0.0
            if before is None:
                self._calm_at = offered.at + _START_SECONDS
            self._offered = offered
            self._waiting_since = self._waiting_since or offered.at
            self._wake.set()

    def held(self) -> set[int]:
        """Snapshots of the mirror that must not expire: those that a difference may still be told from."""
        offered, following = self._offered, self._following
        held = {offered.view.snapshot} if offered else set()
        if following is not None:
            tables, watch = following
            held |= {tables.base.snapshot} if tables.base else set()
            positions = (tables.windows.position, watch.alerts.table.position)
            held |= {position.made_from for position in positions if position and position.made_from}
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
                lasted = time.monotonic() - started
                self._ending.wait(max(_LEAST_SECONDS, lasted / _MOST_OF_THE_TIME) - lasted)
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
            if now >= self._calm_at or waited > _LONGEST_SECONDS:
                return
            self._ending.wait(0.1)

    def _failed(self, failure: BaseException, pause: float) -> None:
        self._is_loaded = False
        shown = f"{type(failure).__name__}: {failure}"[:500]
        unforeseen = not isinstance(failure, FAILURES)
        log.error("a step of the real-time tables failed", pause=pause, failure=shown, exc_info=unforeseen and failure)
        self.status = {**self.status, "state": "failing", "reason": shown}

    def _step(self, offered: Offer) -> None:
        started, (tables, watch) = time.monotonic(), self._opened(offered)
        before = tables.position
        parts = tables.follow(offered.view, datetime.now(UTC))
        now, newest = datetime.now(UTC), offered.progress.newest_change_at
        if tables.position != before or self.status["state"] != "running":
            self.status = _described(tables.windows.committed, now, newest, time.monotonic() - started)
        behind = self.status["seconds_behind_source"]
        health = Health(offered.progress.events, offered.progress.quarantined, newest or self._began, behind)
        watch.look(parts, offered.view, offered.key, health, now)
        self.status = {**self.status, "alerts": len(watch.alerts.open)}

    def _opened(self, offered: Offer) -> tuple[RealtimeTables, Watch]:
        """The tables, loaded if the last step failed. Raises LakehouseError when the mirror lacks a column."""
        if self._following is None:
            self._following = self._made()
        tables, watch = self._following
        if not self._is_loaded:
            mirror = self._lake.table(offered.mirror)
            if missing := set(WATCHED.columns) - set(mirror.arrow_schema.names):
                raise LakehouseError(
                    f"{offered.mirror} lacks {', '.join(sorted(missing))}, which the real-time tables are made from",
                    remedy="name the columns that it has in catalog/tables/realtime.py",
                )
            for each in (tables.windows, tables.activity, watch.alerts.table):
                each.table.refresh()
            tables.load(mirror)
            watch.load(mirror, offered.key)
            self._is_loaded = True
        return tables, watch

    def _made(self) -> tuple[RealtimeTables, Watch]:
        store, address = self._lake.store, self._settings.alert_webhook
        cache: FileCache[pa.Table] = FileCache(_CACHE_BYTES)
        windows, activity, alerts = (
            DailyTable(ensure_table(self._lake, declared), column, cache, self._files)
            for declared, column in (
                (TRIP_AGGREGATIONS, "window_start"),
                (ZONE_ACTIVITY, "activity_timestamp"),
                (ALERTS, "raised_at"),
            )
        )
        measures = Measures(WATCHED, store, cache)
        tables = RealtimeTables(measures, windows, activity)
        webhook = Webhook(address.get_secret_value()) if address else None
        return tables, Watch(tables, Alerts(alerts, webhook), FareWatch(measures, store))


def _described(position: Position, now: datetime, newest: datetime | None, seconds: float) -> dict[str, Any]:
    """The status of a step; `newest` is when the newest change that it holds was committed in the source."""
    return {
        "state": "running",
        "reason": "",
        "position": {str(number): at.next_offset for number, at in position.partitions.items()},
        "lsn": position.lsn,
        "last_commit_at": now.isoformat(),
        "last_step_seconds": round(seconds, 3),
        "seconds_behind_source": round((now - newest).total_seconds(), 3) if newest else None,
    }
