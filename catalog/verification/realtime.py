"""Proves the real-time tables equal to a recomputation in DuckDB from the mirror's snapshot that they name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.errors import VerificationError
from catalog.history import lake_name, load_table, snapshot_entries
from catalog.positions import Position, position_of
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import Settings
from catalog.tables.realtime import (
    AS_OF,
    KEPT_DAYS,
    LEAST_USUAL,
    TRIP_AGGREGATIONS,
    WATCHED,
    WEEKS,
    WINDOW,
    ZONE_ACTIVITY,
    weeks_before,
)
from catalog.tables.table import Table as Declared
from catalog.verification.staging import at_snapshot, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog import Catalog

SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True)
class RealtimeReport:
    """Rows compared and rows that differ, in both tables, at the position that they name."""

    position: Position
    windows: int
    differing_windows: int
    activity: int
    differing_activity: int

    @property
    def equal(self) -> bool:
        """Whether both tables are what the mirror makes them."""
        return not self.differing_windows and not self.differing_activity


@dataclass(frozen=True)
class _Pinned:
    windows_snapshot: int
    activity_snapshot: int
    position: Position
    as_of: datetime


def verify_realtime(settings: Settings, target: Mapping[int, int] | None = None, timeout: float = 60) -> RealtimeReport:
    """Compare both tables once they stand at one position that covers `target` (next offset by partition).

    Raises VerificationError when they do not within `timeout` seconds, ComponentError when a part does not answer.
    """
    pinned = _pin(iceberg_catalog(settings), target or {}, time.monotonic() + timeout)
    with duckdb_connection(settings) as lake:
        _stage(lake, pinned)
        windows = _compare(lake, TRIP_AGGREGATIONS, pinned.windows_snapshot, "expected_windows")
        activity = _compare(lake, ZONE_ACTIVITY, pinned.activity_snapshot, "expected_activity")
    return RealtimeReport(pinned.position, *windows, *activity)


def _pin(catalog: Catalog, target: Mapping[int, int], deadline: float) -> _Pinned:
    while True:
        windows, windows_at, _ = _head(catalog, TRIP_AGGREGATIONS)
        activity, activity_at, facts = _head(catalog, ZONE_ACTIVITY)
        covered = all(windows_at.next_offset(partition) >= offset for partition, offset in target.items())
        if covered and windows_at == activity_at and windows and activity and AS_OF in facts:
            return _Pinned(windows, activity, windows_at, datetime.fromisoformat(facts[AS_OF]))
        if time.monotonic() > deadline:
            raise VerificationError(
                f"the real-time tables are at {windows_at.partitions} and {activity_at.partitions}, wanted is {target}",
                remedy="lake status; lake logs stream",
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _head(catalog: Catalog, declared: Declared) -> tuple[int | None, Position, Mapping[str, str]]:
    if not catalog.table_exists(declared.identifier):
        return None, Position(""), {}
    table = load_table(catalog, declared.identifier)
    head, entries = table.metadata.current_snapshot_id, snapshot_entries(table)
    position = position_of(entries, head, table.properties)
    facts = next((entry.summary for entry in entries if entry.snapshot_id == head), {})
    return head, position or Position(""), facts


def _stage(lake: DuckDBPyConnection, pinned: _Pinned) -> None:
    """Make the tables `expected_windows` and `expected_activity`."""
    mirror = at_snapshot(lake_name(WATCHED.table), pinned.position.made_from)
    amounts = ", ".join(map(quoted, WATCHED.averages))
    lake.execute(
        f"CREATE TEMP TABLE trip AS SELECT {quoted(WATCHED.time)} AS began, {quoted(WATCHED.zone)} AS zone_id,"
        f" {quoted(WATCHED.revenue)} AS revenue, {amounts} FROM {mirror}"
        f" WHERE {quoted(WATCHED.time)} IS NOT NULL AND {quoted(WATCHED.zone)} IS NOT NULL"
    )
    averages = ", ".join(
        f"coalesce(sum({quoted(name)}), 0) AS {quoted(name)}, count({quoted(name)}) AS {quoted(f'{name}_trips')},"
        f" sum({quoted(name)})::DOUBLE / nullif(count({quoted(name)}), 0) AS {quoted(f'avg_{name}')}"
        for name in WATCHED.averages
    )
    lake.execute(
        "CREATE TEMP TABLE expected_windows AS SELECT window_start, window_start + size AS window_end, window_size,"
        f" zone_id, count(*) AS trips, coalesce(sum(revenue), 0) AS revenue, {averages}"
        " FROM (SELECT *, time_bucket(size, began) AS window_start FROM trip, (VALUES ('5 minutes', INTERVAL 5 MINUTE),"
        " ('1 hour', INTERVAL 1 HOUR)) AS sizes(window_size, size)) GROUP BY ALL"
    )
    lake.register("week_before", _weeks_before(pinned.as_of))
    lake.execute(_ACTIVITY)


_ACTIVITY = f"""
CREATE TEMP TABLE expected_activity AS
WITH hour_before AS (
    SELECT zone_id, window_start + number * INTERVAL 5 MINUTE AS ending,
        coalesce(sum(trips) FILTER (number <= 12), 0) AS trips,
        coalesce(sum(revenue) FILTER (number <= 12), 0) AS revenue
    FROM expected_windows, range(1, 14) AS ends(number)
    WHERE window_size = '5 minutes'
    GROUP BY ALL
), usual AS (
    SELECT week_before.ending, zone_id, sum(trips) / {len(WEEKS)} AS trips
    FROM week_before JOIN hour_before ON hour_before.ending = week_before.before
    GROUP BY ALL
), kept AS (
    SELECT DISTINCT ending FROM week_before
)
SELECT zone_id, ending AS activity_timestamp,
    hour_before.trips / greatest(coalesce(usual.trips, 0), {LEAST_USUAL}) AS activity_score,
    revenue AS revenue_last_hour, hour_before.trips AS pickup_count
FROM hour_before JOIN kept USING (ending) LEFT JOIN usual USING (ending, zone_id)
"""


def _weeks_before(as_of: datetime) -> pa.Table:
    """Each kept window end with the same clock time of the weeks before."""
    midnight = as_of.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=KEPT_DAYS - 1)
    ends = [midnight + number * WINDOW for number in range((as_of - midnight) // WINDOW + 1)]
    pairs = [(end, weeks_before(end, weeks)) for end in ends for weeks in WEEKS]
    kind = pa.timestamp("us", "UTC")
    return pa.table(
        {"ending": pa.array([end for end, _ in pairs], kind), "before": pa.array([then for _, then in pairs], kind)}
    )


def _compare(lake: DuckDBPyConnection, declared: Declared, snapshot: int, expected: str) -> tuple[int, int]:
    """Rows expected, and rows that differ: missing, too many, or unlike (doubles to a billionth)."""
    key = " AND ".join(f"f.{name} = e.{name}" for name in declared.key)
    unlike = " OR ".join(
        f"abs(f.{column.name} - e.{column.name}) > 1e-9 * abs(e.{column.name})"
        f" OR (f.{column.name} IS NULL) <> (e.{column.name} IS NULL)"
        if column.type == "double"
        else f"f.{column.name} IS DISTINCT FROM e.{column.name}"
        for column in declared.columns
    )
    lake.execute(f"CREATE TEMP TABLE found AS SELECT * FROM {at_snapshot(declared.identifier, snapshot)}")
    repeated = f"(SELECT count(*) - count(DISTINCT ({', '.join(declared.key)})) FROM found)"
    row: Any = lake.execute(
        f"SELECT (SELECT count(*) FROM {expected}), count(*) + {repeated}"
        f" FROM found f FULL OUTER JOIN {expected} e ON {key} WHERE {unlike}"
    ).fetchone()
    lake.execute("DROP TABLE found")
    return int(row[0]), int(row[1])
