"""What the pipeline has been doing: records that came, records set aside, how long a change took to be seen.

All of it is read from the tables' snapshots and from what this machine knows; nothing is known elsewhere.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache, cached

from catalog.errors import HistoryError
from catalog.freshness import freshness
from catalog.settings import Settings
from serving.api.heads import Heads
from serving.api.lake import Lake
from serving.api.problems import ProblemError
from serving.api.processes import Processes
from serving.api.questions import sql_of

if TYPE_CHECKING:
    import pyarrow as pa

MINUTES = 10
"""Length of the window that rates and delays are measured over."""
KEPT_SECONDS = 10.0
EVENTS = sql_of("pipeline_events")
MIRROR, EVENTS_SET_ASIDE = "taxi_cdc.trips", "taxi_cdc.quarantine"


class Pipeline:
    """One application's view of it; what was measured is kept for some seconds."""

    def __init__(self, settings: Settings, heads: Heads, lake: Lake) -> None:
        self._settings, self._heads, self._lake = settings, heads, lake
        self.processes = Processes(settings.state_dir)
        self.flow = cached(TTLCache(1, KEPT_SECONDS), lock=threading.Lock())(self._flow)

    def _flow(self) -> dict[str, Any]:
        """Rates and delays of the last minutes."""
        since = datetime.now(UTC) - timedelta(minutes=MINUTES)
        tables = set(self._heads.tables())
        changelogs = [name for name in tables if name.endswith("_cdc") and name.removesuffix("_cdc") in tables]
        events = sum(self._added(name, since) for name in changelogs)
        quarantined = self._added(EVENTS_SET_ASIDE, since)
        seen = events + quarantined
        return {
            "minutes": MINUTES,
            "events": events,
            "events_per_second": round(events / (60 * MINUTES), 3),
            "quarantined": quarantined,
            "error_rate": quarantined / seen if seen else None,
            **self._delay(since),
        }

    def _added(self, table: str, since: datetime) -> int:
        """Rows that snapshots since then brought; merging files brings none."""
        return sum(entry.rows_added for entry in self._heads.since(table, since) if entry.operation != "replace")

    def _delay(self, since: datetime) -> dict[str, Any]:
        """Seconds from a trip's commit in the source to its snapshot."""
        nothing = {"measured_events": 0, "delay_median_seconds": None, "delay_95_percent_seconds": None}
        if not {MIRROR, f"{MIRROR}_cdc"} <= set(self._heads.tables()):
            return nothing
        try:
            measured = freshness(self._settings, MIRROR, since, read=self._events)
        except HistoryError:  # the table went away since it was listed
            return nothing
        except ProblemError as limit:
            if limit.name != "query-limit":
                raise
            return nothing  # more events than can be looked at; the rest of the status is known
        if measured is None:
            return nothing
        return {
            "measured_events": measured.events,
            "delay_median_seconds": round(measured.median, 3),
            "delay_95_percent_seconds": round(measured.percentile_95, 3),
        }

    def _events(self, changelog: str, since: datetime) -> pa.Table:
        """Offset and commit time of the events of a changelog since then."""
        return self._lake.run(EVENTS, {"since": since}, {"changelog": self._heads.of(changelog)})
