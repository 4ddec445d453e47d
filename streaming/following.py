"""The thread that keeps the real-time tables behind the mirror, so that an epoch waits for none of it.

The driver leaves the mirror's newest view here after each epoch. The thread takes the newest one whenever it is free:
after a backlog it takes one large step in the place of many. It makes way for large epochs, so that the machine is
theirs. Whatever fails, it starts again from what the tables say.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import structlog

from catalog.errors import LakehouseError
from catalog.settings import Settings
from catalog.tables.realtime import ALERTS, TRIP_AGGREGATIONS, WATCHED, ZONE_ACTIVITY
from catalog.verified import kept
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
_LEAST_SECONDS = 0.25
_MOST_OF_THE_TIME = 0.8
"""From the start of one step to that of the next: at least so long, and so long that steps take no more of the time."""
_LARGE_EPOCH = 5_000
"""Records from which on an epoch belongs to a backlog."""
_CALM_SECONDS = 1.0
"""So long after a large epoch the next one would have begun."""
_START_SECONDS = 15.0
"""So long after the start of the process its first epoch would have begun."""
_LONGEST_WAIT_SECONDS = 30.0
"""It makes way no longer than that: then it takes one step."""
_TICK_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Offer:
    """The mirror after an epoch, its key, and what the stream has done to it in this run."""

    view: View
    mirror: str
    key: tuple[str, ...]
    progress: Progress


class Following:
    """`make_way`, `offer` and `held` are called by the driver; everything else happens in the thread. `status` is for
    people.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self._lake = lake
        self._verified = partial(kept, settings.state_dir)
        address = settings.alert_webhook
        self._webhook = Webhook(address.get_secret_value()) if address else None
        self._offered: Offer | None = None
        self._wake, self._ending = threading.Event(), threading.Event()
        self._calm_at, self._waiting_since = 0.0, math.inf
        # an executor's future keeps whatever a step raises, named or not
        self._steps = ThreadPoolExecutor(1, "realtime")
        self._files = ThreadPoolExecutor(8, "realtime-file")
        self._opened: tuple[RealtimeTables, Watch] | None = None
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

    def make_way(self, records: int) -> None:
        """An epoch of so many records begins."""
        if records <= _LARGE_EPOCH:
            self._calm_at = 0.0
            return
        self._calm_at = math.inf
        self._waiting_since = min(self._waiting_since, time.monotonic())

    def offer(self, streams: Iterable[TableStream]) -> None:
        """No epoch runs: leave the newest state of the watched mirror, unless a first copy of it is under way."""
        now = time.monotonic()
        if self._calm_at == math.inf:
            self._calm_at = now + _CALM_SECONDS
        for stream in streams:
            mirror = stream.mirror
            if stream.name != WATCHED.table or mirror.branch != MAIN or mirror.head is None:
                continue
            if self._offered is None:
                self._calm_at = now + _START_SECONDS
            if self._offered is None or self._offered.view.snapshot != mirror.head:
                view = View(mirror.head, mirror.committed, dict(mirror.files))
                self._offered = Offer(view, mirror.table.identifier, stream.source.key, replace(stream.progress))
                self._waiting_since = min(self._waiting_since, now)
                self._wake.set()

    def held(self) -> set[int]:
        """Snapshots of the mirror that must not expire: those that a difference may still be told from."""
        offered, opened = self._offered, self._opened
        held = {offered.view.snapshot} if offered else set()
        if opened is not None:
            tables, watch = opened
            held |= {tables.base.snapshot} if tables.base else set()
            positions = (tables.windows.position, watch.alerts.table.position)
            held |= {position.made_from for position in positions if position and position.made_from}
        return held

    def _run(self) -> None:
        pause = 1.0
        while not self._ending.is_set():
            self._wake.wait(_TICK_SECONDS)
            while time.monotonic() < min(self._calm_at, self._waiting_since + _LONGEST_WAIT_SECONDS):
                if self._ending.wait(0.1):
                    break
            self._wake.clear()
            self._waiting_since = math.inf
            if self._offered is None or self._ending.is_set():
                continue
            started = time.monotonic()
            failure = self._steps.submit(self._step, self._offered).exception()
            if failure is None:
                pause, lasted = 1.0, time.monotonic() - started
                self._ending.wait(max(_LEAST_SECONDS, lasted / _MOST_OF_THE_TIME) - lasted)
            else:
                self._failed(failure, pause)
                self._ending.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                self._wake.set()

    def _failed(self, failure: BaseException, pause: float) -> None:
        self._opened = None
        shown = f"{type(failure).__name__}: {failure}"[:500]
        unforeseen = not isinstance(failure, FAILURES)
        log.error("a step of the real-time tables failed", pause=pause, failure=shown, exc_info=unforeseen and failure)
        self.status = {**self.status, "state": "failing", "reason": shown}

    def _step(self, offered: Offer) -> None:
        started, now = time.monotonic(), datetime.now(UTC)
        if self._opened is None:
            self._opened = self._open(offered)
        tables, watch = self._opened
        before = tables.position
        parts = tables.follow(offered.view, now)
        now, newest = datetime.now(UTC), offered.progress.newest_change_at
        behind = (now - newest).total_seconds() if newest and tables.position != before else 0.0
        progress, differing = (
            offered.progress,
            {each["table"]: each.get("known_to_differ", 0) for each in self._verified()},
        )
        health = Health(progress.events, progress.quarantined, newest or self._began, behind, differing)
        watch.look(parts, offered.view, offered.key, health, now)
        at = tables.windows.committed
        described: dict[str, Any] = {"state": "running", "reason": "", "lsn": at.lsn, "alerts": len(watch.alerts.open)}
        described["position"] = {str(number): place.next_offset for number, place in at.partitions.items()}
        if tables.position != before:
            described |= {"last_commit_at": now.isoformat(), "seconds_behind_source": round(behind, 3)}
            described["last_step_seconds"] = round(time.monotonic() - started, 3)
        self.status = {**self.status, **described}

    def _open(self, offered: Offer) -> tuple[RealtimeTables, Watch]:
        """The tables as they stand. Raises LakehouseError when the mirror lacks a column."""
        mirror, store = self._lake.table(offered.mirror), self._lake.store
        if missing := set(WATCHED.columns) - set(mirror.arrow_schema.names):
            raise LakehouseError(
                f"{offered.mirror} lacks {', '.join(sorted(missing))}, which the real-time tables are made from",
                remedy="name the columns that it has in catalog/tables/realtime.py",
            )
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
        watch = Watch(tables, Alerts(alerts, self._webhook), FareWatch(measures, store))
        tables.load(mirror)
        watch.load(mirror, offered.key)
        return tables, watch
