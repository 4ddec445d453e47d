"""The real-time tables following the mirror, off its way.

A step takes them from the mirror's snapshot that they were made from to a later one:

1. What came and went between the two is told from the mirror's files and summed by window.
2. `trip_aggregations` is committed, with the mirror's position and the snapshot's id.
3. `zone_activity`, a function of it and of the time, is committed with the same position.

A crash before 2 leaves nothing, one after it leaves `zone_activity` behind, which the next start makes anew for all
days it keeps. Where the snapshot or one of its files is gone, a step starts from nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from catalog.positions import Position
from catalog.tables.realtime import AS_OF, KEPT_DAYS
from streaming.activity import (
    HourlyPickups,
    activity_rows,
    affected,
    as_instant,
    oldest_needed,
    window_end,
)
from streaming.daily import DailyTable
from streaming.differences import Part, View, difference, view_at
from streaming.iceberg import IcebergTable, LiveFile
from streaming.shape import shaped
from streaming.windows import PER_DAY, Measures, WrongSumsError, by_day, corrected, sums_of, window_rows

log = structlog.get_logger()


class RealtimeTables:
    """`base` is the mirror's view that the windows were made from, None where they begin from nothing."""

    def __init__(self, measures: Measures, windows: DailyTable, activity: DailyTable) -> None:
        self.measures, self.windows, self.activity = measures, windows, activity
        self.base: View | None = None
        self._forget()

    def _forget(self) -> None:
        self._pickups = HourlyPickups(self._sums)
        self._stale: set[int] = set()
        self._end = 0

    def load(self, mirror: IcebergTable) -> None:
        """Read where the tables stand."""
        self._forget()
        for table in (self.windows, self.activity):
            table.load()
        position = self.windows.position
        self.base = None if position is None else view_at(mirror, position)

    @property
    def position(self) -> Position | None:
        """The position that the windows are at."""
        return self.windows.position

    def latest(self) -> pa.Table:
        """The activity at the last window end."""
        rows = self.activity.rows(self._end // PER_DAY)
        return rows.filter(pc.equal(rows["activity_timestamp"], as_instant(self._end)))

    def follow(self, view: View, now: datetime) -> list[Part]:
        """Bring both tables to a view of the mirror and to the time; returns what changed in it, nothing if all did.

        Raises FencedError, ComponentError; then the tables must be loaded again.
        """
        parts = list[Part]()
        if self.position is not None and view.is_before(self.position):
            log.info("the windows are further than this driver's mirror", table=self.windows.table.identifier)
        elif self.base is None:
            self._begin(view)
        elif view.snapshot != self.base.snapshot:
            try:
                parts = list(difference(self.base, view, self.windows.table.lake.store))
                written = self._written(parts, self._sums)
            except (FileNotFoundError, WrongSumsError) as wrong:
                log.error("the windows cannot be corrected", why=str(wrong), snapshot=self.base.snapshot)
                self._begin(view)
            else:
                self._commit(written, view)
        self._look_back(now)
        return parts

    def _begin(self, view: View) -> None:
        """All windows from all rows."""
        parts = list(difference(None, view, self.windows.table.lake.store))
        nothing = self.measures.schema.empty_table()
        written = dict.fromkeys(self.windows.files) | self._written(parts, lambda _: nothing)
        log.info("windows made anew", table=self.windows.table.identifier, days=len(written), files=len(view.files))
        self._commit(written, view)

    def _written(self, parts: list[Part], before: Callable[[int], pa.Table]) -> dict[int, LiveFile | None]:
        """The files of the days that parts change, made some days after the other, so that memory is bounded."""
        written: dict[int, LiveFile | None] = {}
        for span, inside in self.measures.spans(parts):
            changes = by_day(self.measures.sums(inside, span))
            days = {day: corrected(before(day), part) for day, part in changes.items()}
            written |= self.windows.write({day: window_rows(sums) for day, sums in days.items()})
        return written

    def _commit(self, days: dict[int, LiveFile | None], view: View) -> None:
        position = replace(view.position, made_from=view.snapshot)
        if days or self.position is None or replace(self.position, made_from=view.snapshot) != position:
            self.windows.replace(days, position)
        self.base = view
        self._pickups.forget(days)
        for day in days:
            self._stale |= affected(day, self._end // PER_DAY)

    def _sums(self, day: int) -> pa.Table:
        return sums_of(self.windows.rows(day), self.measures.schema)

    def _look_back(self, now: datetime) -> None:
        """The activity of days whose windows changed, of the open window's, and none of days no longer kept."""
        end, position = window_end(now), self.windows.committed
        today = end // PER_DAY
        kept = range(today - KEPT_DAYS + 1, today + 1)
        if end != self._end:
            self._stale |= {today, self._end // PER_DAY} if self._end else set(kept)
            self._pickups.keep(oldest_needed(today))
            self._end = end
        schema, activity = self.activity.table.arrow_schema, self.activity
        rows = {day: shaped(activity_rows(self._pickups, day, end), schema) for day in self._stale if day in kept}
        rows |= {day: schema.empty_table() for day in activity.files if day not in kept}
        changed = {day: made for day, made in rows.items() if not made.equals(activity.rows(day))}
        if changed or activity.position != position:
            activity.replace(activity.write(changed), position, {AS_OF: as_instant(end).isoformat()})
        self._stale.clear()
