"""Trips whose windows are followed, what the real-time tables must hold of them, and a driver that follows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from catalog.errors import ComponentError
from catalog.source import SourceColumn
from catalog.tables import realtime
from catalog.tables.realtime import KEPT_DAYS, TRIP_AGGREGATIONS, WEEKS, ZONE_ACTIVITY, Watched, weeks_before
from streaming.daily import DailyTable
from streaming.differences import View
from streaming.files import FileCache
from streaming.iceberg import MAIN
from streaming.realtime import RealtimeTables
from streaming.windows import Measures
from streaming.writer import FencedError
from streaming_model.lake import CrashError, Process, Table, Warehouse
from streaming_model.runs import Driver, Step, Turns
from streaming_model.source import Source
from streaming_model.tables import Kind, Row

NOW = datetime(2026, 11, 21, 0, 2, tzinfo=UTC)
"""Just after midnight."""
_AGO = (0, 40, 61, 1440, 7 * 1440 + 1, 14 * 1440, 21 * 1440 + 90, 400 * 1440, -70)
"""Minutes. New York's clocks went back twenty days before: the same clock time lies an hour earlier then."""
TIMES = tuple((NOW - timedelta(minutes=minutes)).isoformat() for minutes in _AGO)
WATCHED = Watched("public.things", "at", "zone", "total", ("fare", "miles"))
FIVE = timedelta(minutes=5)


class TripKind(Kind):
    """Rows whose time and zone move with every change; some know neither."""

    def row(self, number: int, value: int) -> Row:
        cents = Decimal(3 * number + 7 * value + 1) / 100
        return {
            "id": number,
            "at": None if value == 4 else TIMES[(3 * number + 5 * value) % len(TIMES)],
            "zone": None if value == 5 and number % 2 else 2 if value == 3 else 1,
            "total": -cents if value == 2 else cents,
            "fare": None if value == 1 else cents * 2,
            "miles": None if value == 3 else cents * 3,
            "big": "out of line" if value else None,
        }


_COLUMNS = (
    ("id", "bigint"), ("at", "timestamp with time zone"), ("zone", "integer"), ("total", "numeric(10,2)"),
    ("fare", "numeric(10,2)"), ("miles", "numeric(8,2)"), ("big", "text"),
)  # fmt: skip
TRIPS = TripKind(
    tuple(SourceColumn(name, number, kind, False, False) for number, (name, kind) in enumerate(_COLUMNS, 1)),
    ("id",),
    tuple((number,) for number in range(8)),
)

_DECIMAL = pa.decimal128(38, 2)
_INSTANT = pa.timestamp("us", "UTC")
_ARROW = {
    "timestamp": _INSTANT, "string": pa.large_string(), "int": pa.int32(), "bigint": pa.int64(),
    "decimal(38,2)": _DECIMAL, "double": pa.float64(),
}  # fmt: skip
NAMES = {"fare_amount": "fare", "trip_distance": "miles"}


def schema(declared: Any) -> pa.Schema:
    """A declared table's columns, amounts under the names of this model."""
    named = [(_renamed(column.name), _ARROW[column.type]) for column in declared.columns]
    return pa.schema(named)


def _renamed(name: str) -> str:
    for theirs, ours in NAMES.items():
        name = name.replace(theirs, ours)
    return name


def expected_windows(rows: Iterable[Row]) -> list[Row]:
    """The windows of trips, by plain arithmetic."""
    groups: dict[tuple[str, datetime, timedelta, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row["at"] is None or row["zone"] is None:
            continue
        for size, length in (("5 minutes", FIVE), ("1 hour", timedelta(hours=1))):
            at = datetime.fromisoformat(row["at"])
            groups[size, at - (at - _EPOCH) % length, length, row["zone"]].append(row)
    return sorted((_window(*key, trips) for key, trips in groups.items()), key=_by_key)


def _window(size: str, start: datetime, length: timedelta, zone: int, trips: list[Row]) -> Row:
    made: Row = {"window_start": start, "window_end": start + length, "window_size": size, "zone_id": zone}
    made |= {"trips": len(trips), "revenue": sum(row["total"] for row in trips)}
    for name in WATCHED.averages:
        known = [row[name] for row in trips if row[name] is not None]
        total = sum(known, Decimal(0))
        made |= {name: total, f"{name}_trips": len(known)}
        made[f"avg_{name}"] = float(total) / len(known) if known else None
    return made


def _by_key(row: Row) -> tuple[Any, ...]:
    return row["window_size"], row["window_start"], row["zone_id"]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def expected_activity(rows: Iterable[Row], as_of: datetime) -> list[Row]:
    """The activity of each zone at each kept window end up to `as_of`, by plain counting."""
    trips: dict[int, list[tuple[datetime, Decimal]]] = defaultdict(list)
    for row in rows:
        if row["at"] is not None and row["zone"] is not None:
            at = datetime.fromisoformat(row["at"])
            trips[row["zone"]].append((at - (at - _EPOCH) % FIVE, row["total"]))
    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = {start + FIVE * number for found in trips.values() for start, _ in found for number in range(1, 14)}
    kept = sorted(end for end in ends if midnight - timedelta(days=KEPT_DAYS - 1) <= end <= as_of)
    made = [_activity(zone, end, found) for end in kept for zone, found in sorted(trips.items())]
    return [row for row in made if row is not None]


def _activity(zone: int, end: datetime, trips: list[tuple[datetime, Decimal]]) -> Row | None:
    hour = _hour_before(trips, end)
    if not hour and not _hour_before(trips, end - FIVE):
        return None
    usual = sum(len(_hour_before(trips, weeks_before(end, weeks))) for weeks in WEEKS) / len(WEEKS)
    return {
        "zone_id": zone,
        "activity_timestamp": end,
        "activity_score": len(hour) / max(usual, realtime.LEAST_USUAL),
        "revenue_last_hour": sum(hour, Decimal(0)),
        "pickup_count": len(hour),
    }


def _hour_before(trips: list[tuple[datetime, Decimal]], end: datetime) -> list[Decimal]:
    return [total for start, total in trips if end - timedelta(hours=1) <= start < end]


@dataclass(frozen=True)
class Turn:
    """An epoch of a driver, and perhaps a step of its real-time tables, `minutes` later, that dies at a commit."""

    epoch: Step
    follows: bool
    minutes: int
    fuse: int | None
    dies_after: bool


_fuse = st.sampled_from([None, None, None, None, 0, 1])
_turn = st.builds(
    Turn,
    # mostly one driver in short epochs that succeed: `runs` has the others
    st.builds(
        Step,
        driver=st.sampled_from([0, 0, 0, 1]),
        length=st.integers(1, 6),
        fuse=_fuse,
        dies_after=st.booleans(),
        merges=st.booleans(),
    ),
    follows=st.sampled_from([True, True, False]),
    minutes=st.sampled_from([0, 0, 0, 4, 70, 7 * 1440]),
    fuse=_fuse,
    dies_after=st.booleans(),
)
turns = st.sampled_from([0, 4, 8]).flatmap(lambda least: st.lists(_turn, min_size=least, max_size=12))


def realtime_tables(process: Process) -> RealtimeTables:
    """The tables as a process reads them now."""
    cache: FileCache[pa.Table] = FileCache(1 << 20)
    windows = Table(process, "windows", schema(TRIP_AGGREGATIONS))
    activity = Table(process, "activity", schema(ZONE_ACTIVITY))
    return RealtimeTables(
        Measures(WATCHED, process.store, cache),
        DailyTable(windows, "window_start", cache, Turns()),
        DailyTable(activity, "activity_timestamp", cache, Turns()),
    )


class FollowingDriver(Driver):
    """A streaming driver whose real-time tables follow its mirror."""

    def __init__(self, warehouse: Warehouse, source: Source) -> None:
        super().__init__(warehouse, source, cache=1 << 20)
        self._tables: RealtimeTables | None = None
        self._is_loaded = False

    def follow(self, turn: Turn, now: datetime) -> None:
        """One step of the real-time tables, if there is a mirror to follow."""
        stream = self._stream
        if stream is None:
            self._tables = None
            return
        mirror, process = stream.mirror, stream.mirror.table.lake
        if mirror.branch != MAIN or mirror.head is None:
            return
        process.fuse, process.dies_after = turn.fuse, turn.dies_after
        try:
            if self._tables is None or self._tables.windows.table.lake is not process:
                self._tables, self._is_loaded = realtime_tables(process), False
            if not self._is_loaded:
                for table in (self._tables.windows.table, self._tables.activity.table):
                    table.refresh()
                self._tables.load(mirror.table)
                self._is_loaded = True
            self._tables.follow(View(mirror.head, mirror.committed, dict(mirror.files)), now)
            process.fuse = None
        except FencedError:
            self._is_loaded = False
        except (CrashError, ComponentError):
            self._stream = self._tables = None
