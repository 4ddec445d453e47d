"""The chain from Postgres to the lake, as a benchmark drives it: stop and start its parts, ask how far it has come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from catalog.errors import ComponentError
from catalog.positions import REPLACE
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import NAMESPACE
from catalog.verification.barrier import pass_barrier, topic_targets
from connectors.registration import register
from connectors.topics import topic_name
from connectors.worker import Worker
from stack import control
from stack.components import COMPONENTS
from stack.supervision import Supervisor
from streaming.status import FILE_NAME

TABLE = "trips"
STREAM = "stream"
POLL_SECONDS = 0.1
STOP_SECONDS = 60.0
STUCK_SECONDS = 120.0
"""Without any progress for so long, what is waited for does not come."""


@dataclass(frozen=True)
class Commit:
    """One commit to a table: Unix seconds, and the change events that it brought (a changelog counts them)."""

    at: float
    events: int


class Chain:
    """The running stack. Methods raise ComponentError when a part of it does not do as it is told."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topic = topic_name(settings.topic_prefix, "public", TABLE)
        self._worker, self._supervisor = Worker(settings), Supervisor(settings)

    def require_running(self) -> None:
        """Refuse to measure where a component is missing."""
        silent = [state.name for state in control.states(self.settings) if not state.healthy]
        if silent:
            raise ComponentError(f"not running: {', '.join(silent)}", remedy="lake up, then again")

    def stop_stream(self) -> None:
        """Stop the streaming job and wait until it has ended."""
        self._supervisor.stop_program(STREAM)
        (self.settings.state_dir / FILE_NAME).unlink(missing_ok=True)  # what it said before would be read as new

    def start_stream(self) -> None:
        """Start the streaming job, without waiting for it."""
        self._supervisor.start_program(STREAM)

    def await_stream(self) -> None:
        """Wait until the streaming query runs; its first epoch has not ended by then."""
        deadline = time.monotonic() + STUCK_SECONDS
        while self._status().get("state") != "running":
            if time.monotonic() > deadline:
                raise ComponentError("the streaming job does not start", remedy="lake logs stream")
            time.sleep(POLL_SECONDS)

    @contextmanager
    def stopped_connector(self) -> Iterator[None]:
        """The connector is stopped for the length of the block, then told to go on; Postgres keeps the changes."""
        self._worker.stop(self.settings.connector)
        deadline = time.monotonic() + STOP_SECONDS
        while (status := self._worker.status(self.settings.connector)) is None or status["tasks"]:
            if time.monotonic() > deadline:
                raise ComponentError(f"connector {self.settings.connector} does not stop", remedy="lake logs connect")
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            self._worker.resume(self.settings.connector)

    def restore(self) -> None:
        """Leave streaming job and connector running, whatever happened."""
        self.start_stream()
        register(self.settings)

    def await_kafka(self, seconds: float) -> None:
        """Wait until Kafka holds all that is committed in Postgres now. Raises VerificationError."""
        pass_barrier(self.settings, time.monotonic() + seconds)

    def await_applied(self, report: Callable[[int], None] = lambda applied: None) -> None:
        """Wait until the streaming job has applied all that the topic holds now; it tells offsets as it goes."""
        target = max(topic_targets(self.settings, [self.topic])[self.topic].values())
        moved_at, last = time.monotonic(), -1
        while (applied := self.applied()) < target:
            if applied != last:
                report(applied)
                moved_at, last = time.monotonic(), applied
            if time.monotonic() - moved_at > STUCK_SECONDS:
                raise ComponentError(
                    f"the streaming job has stood at offset {applied} of {target} for {STUCK_SECONDS:.0f} s",
                    remedy="lake status; lake logs stream",
                )
            time.sleep(POLL_SECONDS)

    def await_windows(self) -> None:
        """Wait until the real-time tables are as far as the topic is now."""
        target = max(topic_targets(self.settings, [self.topic])[self.topic].values())
        deadline = time.monotonic() + STUCK_SECONDS
        while max(self._status().get("realtime", {}).get("position", {}).values(), default=0) < target:
            if time.monotonic() > deadline:
                raise ComponentError("the real-time tables do not follow", remedy="lake status; lake logs stream")
            time.sleep(POLL_SECONDS)

    def applied(self) -> int:
        """The next offset of the topic that the streaming job reports; 0 before its first report."""
        table = self.state(f"public.{TABLE}")
        if table.get("state") == "stopped":
            raise ComponentError(f"public.{TABLE} is stopped: {table['reason']}", remedy=table["remedy"])
        return max(table.get("position", {}).values(), default=0)

    def state(self, table: str) -> dict[str, Any]:
        """What the streaming job says of `schema.table`; empty when nothing."""
        found: dict[str, Any] = self._status().get("tables", {}).get(table, {})
        return found

    def _status(self) -> dict[str, Any]:
        """What the streaming job says of itself; empty before it has said anything."""
        try:
            status: dict[str, Any] = json.loads((self.settings.state_dir / FILE_NAME).read_text())
        except FileNotFoundError:
            return {}
        return status

    def commits_since(self, moment: float) -> dict[str, list[Commit]]:
        """Of changelog and mirror, the commits after a Unix time that brought changes; merges of files are left out."""
        catalog = iceberg_catalog(self.settings)
        found = {}
        for name in (f"{TABLE}_cdc", TABLE):
            commits = []
            for snapshot in catalog.load_table(f"{NAMESPACE}.{name}").metadata.snapshots:
                summary = snapshot.summary
                if snapshot.timestamp_ms / 1000 < moment or summary is None or summary.operation.value == REPLACE:
                    continue
                facts = summary.additional_properties
                commits.append(Commit(snapshot.timestamp_ms / 1000, int(facts.get("lake.events", 0))))
            found[name] = sorted(commits, key=lambda commit: commit.at)
        return found


def component_names() -> tuple[str, ...]:
    """All components of the stack."""
    return tuple(component.name for component in COMPONENTS)


def steady_rate(commits: list[Commit]) -> float | None:
    """Events a second from the first commit to the last; None with fewer than two commits."""
    seconds = sum(later.at - earlier.at for earlier, later in pairwise(commits))
    return sum(commit.events for commit in commits[1:]) / seconds if seconds else None
