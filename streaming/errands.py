"""What goes on beside the query: what commands ask for (resync, replay, release), and snapshots thinned out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import psycopg
import structlog
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from catalog.errors import LakehouseError, TableStoppedError
from catalog.settings import Settings
from catalog.tables.realtime import ALERTS, TRIP_AGGREGATIONS, WATCHED, ZONE_ACTIVITY
from streaming.audit import TopicAudit
from streaming.copying import Copier
from streaming.iceberg import Lake
from streaming.quarantine import Quarantine
from streaming.replaying import replay
from streaming.requests import Request, finish, held, pending, withdraw
from streaming.retention import thin_out
from streaming.schemas import SourceSchemas
from streaming.table import TableStream

log = structlog.get_logger()

_THIN_OUT_SECONDS = 120.0
_TOGETHER_SECONDS = 10.0
"""How long a copied table waits for others that are being copied: each start of the query holds all of them up."""

FAILURES = (LakehouseError, PySparkException, Py4JError, OSError, psycopg.Error)
"""What a component's failure looks like from here: the store's are OSError, the REST catalog's Py4JError."""


class Errands:
    """`copying` names the tables that are being rebuilt, and how far each is; the query leaves them out meanwhile."""

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        schemas: SourceSchemas,
        audit: TopicAudit,
        restart: Callable[[], None],
        stop_table: Callable[[str, TableStoppedError], None],
        go_on: Callable[[str], None],
        held: Callable[[], set[int]],
    ) -> None:
        self._settings, self._lake, self._schemas = settings, lake, schemas
        self._copier = Copier(settings, lake, schemas, audit)
        self._restart, self._stop_table, self._go_on, self._held = restart, stop_table, go_on, held
        self._without_copied = threading.Event()
        self._copies = ThreadPoolExecutor(2, "copy")
        self._housekeeping = ThreadPoolExecutor(1, "housekeeping")
        self._thinned_at = time.monotonic()
        self.copying: dict[str, str] = {}
        self._copied: dict[str, tuple[Request, dict[str, object]]] = {}
        self._copied_at = 0.0

    def tables_opened(self) -> None:
        """The query's tables were opened without those being copied: copies may begin."""
        self._without_copied.set()

    def serve_replays(self, streams: Iterable[TableStream], quarantine: Quarantine) -> None:
        """Replay quarantined records while no query runs."""
        for request in pending(self._settings):
            if request.kind != "replay":
                continue
            stream = next((stream for stream in streams if stream.name == request.table), None)
            if stream is None:
                finish(self._settings, request, {"error": f"{request.table} is not streaming; lake status says why"})
                continue
            outcome = replay(self._lake, stream, quarantine)
            stream.count_quarantined()
            log.info("replayed the quarantine", table=request.table, **asdict(outcome))
            finish(self._settings, request, asdict(outcome))

    @property
    def told(self) -> dict[str, str]:
        """What `lake status` says of tables that are copied or wait for it."""
        joining = {request.table for request in pending(self._settings) if request.kind == "hold"}
        return {**dict.fromkeys(joining, "waits for the connector; lake connect goes on"), **self.copying}

    @property
    def left_out(self) -> set[str]:
        """Tables that the query must do without, now or for good."""
        return {*self.copying, *held(self._settings)}

    def take_up(self, streams: Iterable[TableStream]) -> None:
        """Take what commands ask for, and housekeeping when it is due; returns at once."""
        running = {stream.name for stream in streams}
        for request in pending(self._settings):
            if request.kind in ("replay", "rollback") or (request.kind == "hold" and request.table in running):
                self._restart()
            elif request.kind == "release":
                self._release(request, request.table in running)
            elif request.kind == "resync" and request.table not in self.copying:
                self.copying[request.table] = "resync requested"
                if request.table in running:
                    self._without_copied.clear()
                    self._restart()
                self._copies.submit(self._resync, request)
        self._let_in()
        if time.monotonic() - self._thinned_at > _THIN_OUT_SECONDS:
            self._thinned_at = time.monotonic()
            sources = [stream.source for stream in streams]
            names = [name for source in sources for name in (source.mirror, source.changelog)]
            if any(source.qualified == WATCHED.table for source in sources):
                names += [table.identifier for table in (TRIP_AGGREGATIONS, ZONE_ACTIVITY, ALERTS)]
            self._housekeeping.submit(self._thin_out, names)

    def _resync(self, request: Request) -> None:
        answer: dict[str, object] = {}

        def say(what: str) -> None:
            self.copying[request.table] = what

        try:
            self._without_copied.wait()
            answer["rows"] = self._copier.copy(request.table, say)
        except FAILURES as failure:
            log.error("resync failed", table=request.table, failure=str(failure))
            answer["error"] = str(failure)
            self._stop_table(request.table, TableStoppedError(request.table, f"resync failed: {failure}"))
        else:
            self._go_on(request.table)
        self.copying[request.table] = "copied, goes in with the others"
        if not self._copied:
            self._copied_at = time.monotonic()
        self._copied[request.table] = request, answer

    def _let_in(self) -> None:
        """Copied tables join the query, by one start of it."""
        copied = list(self._copied)
        is_due = time.monotonic() - self._copied_at > _TOGETHER_SECONDS
        if not copied or not (is_due or len(copied) == len(self.copying)):
            return
        for table in copied:
            finish(self._settings, *self._copied.pop(table))
            self.copying.pop(table, None)
        self._restart()

    def _release(self, request: Request, is_running: bool) -> None:
        """Let go of a table once the query runs without it."""
        if request.table in self.copying:
            return
        if is_running:
            self._restart()
            return
        self._schemas.leave(request.table)
        self._go_on(request.table)
        log.info("let go of a table", table=request.table)
        withdraw(self._settings, Request("drain", request.table))
        withdraw(self._settings, Request("hold", request.table))
        finish(self._settings, request, {})

    def _thin_out(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                thin_out(self._lake.table(name), self._held())
            except FAILURES as failure:
                log.warning("expiry failed, left for later", table=name, failure=str(failure)[:300])
