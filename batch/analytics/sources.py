"""What analytics is computed from: which tables have rows, which time they cover, which snapshot holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyiceberg.exceptions import NoSuchTableError

from catalog.errors import BatchError
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import CATALOG, Settings
from catalog.tables.nyc_taxi import TRIPS
from catalog.tables.reference import TAXI_ZONES
from catalog.tables.weather import HOURLY_WEATHER


@dataclass(frozen=True)
class Source:
    """A table, the column that tells its time, and the DAG that loads it; None for what may be absent."""

    table: str
    time: str | None
    writer: str | None


SOURCES = (
    Source(TRIPS.identifier, "pickup_at", TRIPS.writer),
    Source(HOURLY_WEATHER.identifier, "observed_at", HOURLY_WEATHER.writer),
    Source(TAXI_ZONES.identifier, None, TAXI_ZONES.writer),
    Source("taxi_cdc.trips", "pickup_at", None),
)


def snapshots(settings: Settings) -> dict[str, int]:
    """The current snapshot of each source that has one."""
    catalog, found = iceberg_catalog(settings), {}
    for source in SOURCES:
        try:
            snapshot = catalog.load_table(source.table).current_snapshot()
        except NoSuchTableError:
            continue
        if snapshot is not None:
            found[source.table] = snapshot.snapshot_id
    return found


def survey(settings: Settings) -> dict[str, Any]:
    """Snapshot, rows and time of each source that is there. Raises BatchError when one that must have rows has none."""
    held = snapshots(settings)
    with duckdb_connection(settings) as connection:
        found = {}
        for source in SOURCES:
            if source.table in held:
                span = f"min({source.time})::varchar, max({source.time})::varchar" if source.time else "null, null"
                row = connection.table(f"{CATALOG}.{source.table}").aggregate(f"count(*), {span}").fetchone()
                rows, first, last = row or (0, None, None)
                found[source.table] = {"snapshot": held[source.table], "rows": rows, "first": first, "last": last}
    _require_rows(found)
    return found


def _require_rows(found: dict[str, Any]) -> None:
    lacking = [each for each in SOURCES if each.writer and not found.get(each.table, {}).get("rows")]
    if lacking:
        raise BatchError(
            f"analytics has nothing to work on: {', '.join(each.table for each in lacking)} missing or empty",
            remedy=f"airflow dags trigger {' and '.join(sorted({str(each.writer) for each in lacking}))}",
        )
