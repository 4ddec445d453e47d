"""The API's questions put to pyiceberg instead: what a program does that reads the tables itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan

from bench import served
from catalog.readers import iceberg_catalog
from catalog.settings import Settings


def stats_by_pyiceberg(settings: Settings) -> object:
    """The figures of the last full hours, of those before, and of all trips."""
    table = iceberg_catalog(settings).load_table(served.TRIPS)
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    columns = ("pickup_at", "total_amount", "fare_amount", "trip_distance", "pickup_location_id")
    held = table.scan(selected_fields=columns).to_arrow()
    found = [len(held), pc.sum(held["total_amount"]).as_py()]
    for begin in (until - timedelta(hours=24), until - timedelta(hours=48)):
        inside = pc.and_(
            pc.greater_equal(held["pickup_at"], begin), pc.less(held["pickup_at"], begin + timedelta(hours=24))
        )
        window = held.filter(inside)
        zones = pc.count_distinct(window["pickup_location_id"])
        found += [len(window), pc.sum(window["total_amount"]), pc.mean(window["fare_amount"]), zones]
    return found


def zones_by_pyiceberg(settings: Settings) -> object:
    """Pick-ups and fares of every zone over all days."""
    table = iceberg_catalog(settings).load_table(served.ZONES)
    held = table.scan(row_filter=EqualTo("origin", "cdc")).to_arrow()
    measures = [("total_pickups", "sum"), ("total_revenue", "sum"), ("peak_hour_factor", "mean")]
    return held.group_by("location_id").aggregate(measures).sort_by([("total_revenue_sum", "descending")])


def activity_by_pyiceberg(settings: Settings) -> object:
    """Every zone's newest window of the last hour."""
    table = iceberg_catalog(settings).load_table(served.ACTIVITY)
    now = datetime.now(UTC)
    hour = And(
        GreaterThanOrEqual("activity_timestamp", (now - timedelta(hours=1)).isoformat()),
        LessThan("activity_timestamp", (now + timedelta(hours=1)).isoformat()),
    )
    held = table.scan(row_filter=hour).to_arrow().sort_by([("activity_timestamp", "descending")])
    return held.group_by("zone_id", use_threads=False).aggregate([("activity_score", "first")])
