"""The API's questions put to others: to pyiceberg, as a program does that reads the tables itself, and to Trino."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow.compute as pc
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan

from bench import served
from bench.accounting import Watched
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.trino import absence, fetch, trino_connection

BY_TRINO = {
    "stats": """
with placed as (
    select *, date_diff('hour', pickup_at, date_trunc('hour', current_timestamp)) as age from iceberg.taxi_cdc.trips
)
select count(*) as total_trips, sum(total_amount) as total_revenue,
    count_if(age between 1 and 24) as trips, count_if(age between 25 and 48) as trips_before,
    sum(total_amount) filter (where age between 1 and 24) as revenue,
    sum(total_amount) filter (where age between 25 and 48) as revenue_before,
    avg(fare_amount) filter (where age between 1 and 24) as average_fare,
    avg(fare_amount) filter (where age between 25 and 48) as average_fare_before,
    count(distinct pickup_location_id) filter (where age between 1 and 24) as active_zones
from placed
""",
    "zones": """
select location_id, sum(total_pickups) as pickups, sum(total_revenue) as revenue, avg(peak_hour_factor) as peak
from iceberg.analytics.zone_performance_metrics where origin = 'cdc' group by location_id order by revenue desc
""",
    "activity": """
select zone_id, max_by(activity_score, activity_timestamp) as score from iceberg.realtime.zone_activity
where activity_timestamp >= current_timestamp - interval '1' hour
    and activity_timestamp < current_timestamp + interval '1' hour
group by zone_id
""",
}


@dataclass(frozen=True)
class Rival:
    """Who answers an endpoint's question instead of the API, and the processes that do it."""

    endpoint: str
    kind: str
    ask: Callable[[], object]
    watched: Watched


def rivals(settings: Settings, report: Callable[[str], None]) -> Iterator[Rival]:
    """pyiceberg for every endpoint, then Trino, if it runs; each of its queries has been asked once before."""
    for name, ask in BY_PYICEBERG.items():
        report(f"{name} by pyiceberg")
        yield Rival(name, "pyiceberg, in process", partial(ask, settings), Watched({}, "client"))
    if reason := absence(settings):
        report(f"Trino is not run: {reason}")
        return
    watched = Watched.of(settings, ("trino",), ourselves="client")
    with trino_connection(settings) as connection:
        for name, query in BY_TRINO.items():
            report(f"{name} by Trino")
            fetch(connection, query)  # the first is planned and read by code that Java has not compiled yet
            yield Rival(name, "Trino, one client", partial(fetch, connection, query), watched)


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


BY_PYICEBERG = {"stats": stats_by_pyiceberg, "zones": zones_by_pyiceberg, "activity": activity_by_pyiceberg}
