"""Looks at what the alert rules speak of after each step: the zones' activity, the stream's health, fares that came."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from catalog.tables.realtime import DIFFERENCE, ERRORS, LAG, SILENCE, SURGE, WATCHED
from streaming.alerts import Alerts, Key, Looked, look
from streaming.differences import Part, View, difference, view_at
from streaming.fares import FareWatch
from streaming.iceberg import IcebergTable
from streaming.realtime import RealtimeTables

log = structlog.get_logger()

_ERROR_SECONDS = 300.0


@dataclass(frozen=True)
class Health:
    """The stream as it says of itself: records applied and set aside so far, the newest change's commit (before one,
    the start of the process), and how late the windows have it; 0 where none was waiting. `differing` is by table what
    verifications found to differ.
    """

    events: int
    quarantined: int
    newest: datetime
    seconds_behind: float
    differing: Mapping[str, float] = field(default_factory=dict)


class Conditions:
    """Rules whose subjects have a value at every moment."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def look(self, health: Health, latest: pa.Table, now: datetime, open_alerts: Iterable[Key]) -> list[Looked]:
        """All of them; `latest` is the activity at the last window end."""
        held, subject = list(open_alerts), WATCHED.table
        busy = latest.filter(pc.greater_equal(latest["pickup_count"], SURGE.at_least))
        scores = zip(busy["zone_id"].to_pylist(), busy["activity_score"].to_pylist(), strict=True)
        looks = [look(SURGE, {f"zone {zone}": score for zone, score in scores}, held)]
        looks.append(look(ERRORS, {subject: self._error_rate(health)}, held))
        looks.append(look(SILENCE, {subject: (now - health.newest).total_seconds() / 60}, held))
        looks.append(look(LAG, {subject: health.seconds_behind}, held))
        looks.append(look(DIFFERENCE, health.differing, held))
        return looks

    def _error_rate(self, health: Health) -> float:
        samples, now = self._samples, time.monotonic()
        if samples and health.events < samples[-1][1]:  # the query started anew and counts anew
            samples.clear()
        samples.append((now, health.events, health.quarantined))
        while now - samples[0][0] > _ERROR_SECONDS:
            samples.popleft()
        events, bad = (samples[-1][place] - samples[0][place] for place in (1, 2))
        return bad / (events + bad) if bad > 0 else 0.0


class Watch:
    """The alerts behind the real-time tables. A step's alerts are committed after its windows; `load` looks again at
    what came since the alerts' own position, so a crash between the two loses none.
    """

    def __init__(self, tables: RealtimeTables, alerts: Alerts, fares: FareWatch) -> None:
        self._tables, self.alerts, self._fares = tables, alerts, fares
        self._conditions = Conditions()

    def load(self, mirror: IcebergTable, key: Sequence[str]) -> None:
        """Read the open alerts, and look at the fares that nobody has looked at."""
        self.alerts.load()
        base, seen = self._tables.base, self.alerts.table.position
        if base is None or seen is None or seen.made_from == base.snapshot:
            return
        before = view_at(mirror, seen)
        if before is None:
            log.warning("fares of changes before this start are not looked at: their snapshot is gone")
            return
        parts = list(difference(before, base, self._fares.store))
        now = datetime.now(UTC)
        self._fares.learn(base)
        self.alerts.apply([self._fares.look(parts, key, self.alerts.open, now)], base.position, now)

    def look(self, parts: Sequence[Part], view: View, key: Sequence[str], health: Health, now: datetime) -> None:
        """Raise and clear what a step and the time call for. Raises FencedError, ComponentError."""
        self._fares.learn(view)
        held = self.alerts.open
        conditions = self._conditions.look(health, self._tables.latest(), now, held)
        looks = [self._fares.look(parts, key, held, now), *conditions]
        self.alerts.apply(looks, self._tables.windows.committed, now)
