"""A lake to be served: the tables that the API's quick endpoints read, with as many trips as wanted, as of now.

pyiceberg writes them, so they have no deletion vectors; real trips, repeated under new keys and moved to end at the
present hour. Only for a lake that has no such tables: what is there is never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

from bench import trips
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.tables.cdc import INSTANT

TRIPS, ZONES, ACTIVITY = "taxi_cdc.trips", "analytics.zone_performance_metrics", "realtime.zone_activity"
LOCATIONS = np.arange(1, 264, dtype=np.int32)
DAYS = 365
SLICE = 500_000
"""Rows of one data file."""
MONEY = pa.decimal128(18, 2)


@dataclass(frozen=True)
class ServedLake:
    """Rows of each table, and which tables were made for this run."""

    rows: dict[str, int]
    made: list[str]


@contextmanager
def served(settings: Settings, rows: int) -> Iterator[ServedLake]:
    """Make the tables that are missing, and drop those again at the end."""
    catalog = iceberg_catalog(settings)
    made: list[str] = []
    try:
        for name, parts in {TRIPS: _trips(rows), ZONES: _zones(), ACTIVITY: _activity()}.items():
            if not has(catalog, name):
                made.append(name)
                _write(catalog, name, parts)
        yield ServedLake({name: _rows(catalog, name) for name in (TRIPS, ZONES, ACTIVITY)}, made)
    finally:
        for name in made:
            if has(catalog, name):
                catalog.purge_table(name)


def has(catalog: Catalog, name: str) -> bool:
    """Whether the lake has that table."""
    try:
        catalog.load_table(name)
    except (NoSuchTableError, NoSuchNamespaceError):
        return False
    return True


def _write(catalog: Catalog, name: str, parts: Iterator[pa.Table]) -> None:
    catalog.create_namespace_if_not_exists(name.split(".")[0])
    table = None
    for part in parts:
        table = table or catalog.create_table(name, part.schema)
        table.append(part)


def _rows(catalog: Catalog, name: str) -> int:
    snapshot = catalog.load_table(name).current_snapshot()
    return int(snapshot.summary["total-records"] or 0) if snapshot and snapshot.summary else 0


def _trips(rows: int) -> Iterator[pa.Table]:
    """Trips whose last pick-up lies in the present hour."""
    real = trips.trips(0, min(rows, SLICE))
    moved = pc.subtract(pa.scalar(_hour(), INSTANT), pc.max(real["pickup_at"]))
    for first in range(0, rows, SLICE):
        part = trips.trips(first, min(SLICE, rows - first))
        for name in ("pickup_at", "dropoff_at"):
            place = part.schema.get_field_index(name)
            part = part.set_column(place, name, pc.add(part[name], moved).cast(INSTANT))
        yield part


def _zones() -> Iterator[pa.Table]:
    """Every zone on each day of a year."""
    random = np.random.default_rng(1)
    today = _hour().date()
    dates = np.repeat([today - timedelta(days=day) for day in range(DAYS)], LOCATIONS.size)
    count = dates.size
    pickups = random.integers(0, 200, count)
    yield pa.table(
        {
            "origin": pa.array(["cdc"] * count),
            "trip_date": pa.array(list(dates), pa.date32()),
            "location_id": pa.array(np.tile(LOCATIONS, DAYS)),
            "zone_name": pa.array([f"zone {number}" for number in np.tile(LOCATIONS, DAYS)]),
            "borough": pa.array(["Manhattan"] * count),
            "total_pickups": pa.array(pickups),
            "total_revenue": pa.array(pickups.astype(np.int32) * 13).cast(MONEY),
            "avg_fare_per_pickup": pa.array(np.full(count, 13.0)),
            "peak_hour_factor": pa.array(1 + random.random(count)),
            "weather_impact_score": pa.array(random.random(count) / 10),
            "wet_hours": pa.array(np.zeros(count, np.int32)),
            "weather_derived": pa.array(np.ones(count, bool)),
        }
    )


def _activity() -> Iterator[pa.Table]:
    """Every zone in each five-minute window of a day that ends an hour from now."""
    random = np.random.default_rng(2)
    ends = [_hour() + timedelta(hours=1) - timedelta(minutes=5 * window) for window in range(24 * 12)]
    count = LOCATIONS.size * len(ends)
    yield pa.table(
        {
            "zone_id": pa.array(np.tile(LOCATIONS, len(ends))),
            "activity_timestamp": pa.array([end for end in ends for _ in LOCATIONS], INSTANT),
            "activity_score": pa.array(random.random(count) * 2),
            "revenue_last_hour": pa.array(random.integers(0, 1000, count, np.int32)).cast(MONEY),
            "pickup_count": pa.array(random.integers(0, 50, count)),
        }
    )


def _hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
