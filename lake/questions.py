"""Twenty questions that every engine must answer alike: `lake compare-engines` asks them.

Their SQL is what DuckDB, Spark and Trino have in common; where they differ, `spoken` holds an engine's own words. Every
answer is exactly determined: it is ordered to the last row, decimals are summed, floating-point numbers never.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from catalog.time_travel import Engine

Past = Literal["now", "snapshot", "time", "lsn", "all"]
"""Which past is asked for: the snapshots that are current when the comparison begins, the oldest that is kept, a time
between, a commit between, or none, for tables of metadata."""


@dataclass(frozen=True)
class Question:
    """One query, what it is about, and the past that its tables are pinned to."""

    about: str
    sql: str
    past: Past = "now"
    spoken: Mapping[Engine, str] = field(default_factory=dict)

    def text(self, engine: Engine) -> str:
        """The query as this engine understands it."""
        return self.spoken.get(engine, self.sql)


_TOTALS = """select count(*) as trips, sum(trip_id) as ids, sum(total_amount) as total, min(updated_at) as first,
    max(updated_at) as last from iceberg.taxi_cdc.trips"""
_CLOCK = """select {} as clock, count(*) as trips from iceberg.taxi_cdc.trips
    group by 1 order by 1 nulls first"""
_FLAGS = """select flag, count(*) as trips from {} group by flag order by flag"""
_SNAPSHOTS = "select snapshot_id, manifest_list from {} order by snapshot_id"

QUESTIONS = (
    Question("every row of a mirror with deletion vectors", _TOTALS),
    Question(
        "decimals by group",
        """select payment_type, count(*) as trips, sum(fare_amount) as fares, min(total_amount) as least,
        max(total_amount) as most from iceberg.taxi_cdc.trips group by payment_type
        order by payment_type nulls first""",
    ),
    Question(
        "products of decimals",
        """select pickup_location_id, sum(trip_distance * fare_amount) as dollar_miles from iceberg.taxi_cdc.trips
        group by pickup_location_id having count(*) > 1 order by pickup_location_id""",
    ),
    Question(
        "nulls in aggregates and comparisons",
        """select count(*) as trips, count(passenger_count) as known, count(distinct passenger_count) as numbers,
        sum(coalesce(passenger_count, -1)) as filled, count(nullif(tip_amount, 0)) as tipped,
        sum(case when vendor_id is distinct from payment_type then 1 else 0 end) as unlike,
        sum(case when passenger_count > 1 then null else 1 end) as few from iceberg.taxi_cdc.trips""",
    ),
    Question(
        "nulls in an order",
        """select trip_id, passenger_count, dropoff_location_id from iceberg.taxi_cdc.trips
        order by passenger_count desc nulls last, dropoff_location_id nulls first, trip_id limit 50""",
    ),
    Question(
        "instants to the microsecond",
        """select trip_id, pickup_at, dropoff_at, created_at, updated_at from iceberg.taxi_cdc.trips
        order by updated_at desc, trip_id limit 50""",
    ),
    Question(
        "hours of instants",
        """select date_trunc('hour', pickup_at) as hour, count(*) as trips, sum(total_amount) as total
        from iceberg.taxi_cdc.trips group by 1 order by 1""",
    ),
    Question(
        "parts and differences of instants",
        """select extract(month from pickup_at) as month, extract(hour from pickup_at) as hour, count(*) as trips
        from iceberg.taxi_cdc.trips where dropoff_at > pickup_at + interval '10' minute group by 1, 2 order by 1, 2""",
    ),
    Question(
        "a join",
        """select v.name, v.active, count(*) as trips, sum(t.tip_amount) as tips from iceberg.taxi_cdc.trips t
        join iceberg.taxi_cdc.vendors v on v.vendor_id = t.vendor_id group by v.name, v.active order by v.name""",
    ),
    Question(
        "an outer join, and what has no partner",
        """select t.payment_type, p.name, count(*) as trips from iceberg.taxi_cdc.trips t
        left join iceberg.taxi_cdc.payment_types p on p.payment_type = t.payment_type
        where not exists (select 1 from iceberg.taxi_cdc.vendors v where v.vendor_id = t.vendor_id and not v.active)
        group by t.payment_type, p.name order by 1 nulls first""",
    ),
    Question(
        "ranks within groups",
        """with ranked as (select trip_id, pickup_location_id, total_amount, row_number() over (
            partition by pickup_location_id order by total_amount desc, trip_id) as place,
            sum(total_amount) over (partition by pickup_location_id) as zone_total from iceberg.taxi_cdc.trips)
        select * from ranked where place <= 2 order by pickup_location_id, place""",
    ),
    Question(
        "text",
        """select upper(name) as name, length(name) as letters, substring(name, 1, 3) as start, name like '%o%' as has_o
        from iceberg.taxi_cdc.payment_types order by name""",
    ),
    Question(
        "json text",
        "",
        spoken={
            "duckdb": _CLOCK.format("json_extract_string(extra, '$.pickup_clock')"),
            "spark": _CLOCK.format("get_json_object(extra, '$.pickup_clock')"),
            "trino": _CLOCK.format("json_extract_scalar(extra, '$.pickup_clock')"),
        },
    ),
    Question(
        "structs of a changelog",
        """select e.op, count(*) as events, count(e.unchanged) as unchanged,
        sum(e."before".total_amount) as before_total,
        sum(e."after".total_amount) as after_total from iceberg.taxi_cdc.trips_cdc e group by e.op order by e.op""",
        spoken={
            "spark": """select op, count(*), count(unchanged), sum(before.total_amount), sum(after.total_amount)
            from iceberg.taxi_cdc.trips_cdc group by op order by op"""
        },
    ),
    Question(
        "arrays of a partitioned table",
        "",
        spoken={
            "duckdb": _FLAGS.format("(select unnest(flags) as flag from iceberg.nyc_taxi.trips)"),
            "spark": _FLAGS.format("(select explode(flags) as flag from iceberg.nyc_taxi.trips)"),
            "trino": _FLAGS.format("iceberg.nyc_taxi.trips cross join unnest(flags) as t (flag)"),
        },
    ),
    Question(
        "partitions and local times",
        """select year, month, count(*) as trips, sum(total_amount) as total, min(pickup_at) as first,
        max(pickup_at) as last from iceberg.nyc_taxi.trips where year = 2019 and month in (1, 2)
        group by year, month order by year, month""",
    ),
    Question("an older snapshot", _TOTALS, "snapshot"),
    Question("an earlier time", _TOTALS, "time"),
    Question(
        "an LSN",
        "select trip_id, passenger_count, total_amount, note, updated_at from iceberg.taxi_cdc.trips order by trip_id",
        "lsn",
    ),
    Question(
        "a table's own metadata",
        "",
        "all",
        {
            "duckdb": _SNAPSHOTS.format("iceberg_snapshots(iceberg.taxi_cdc.trips)"),
            "spark": _SNAPSHOTS.format("iceberg.taxi_cdc.trips.snapshots"),
            "trino": _SNAPSHOTS.format('iceberg.taxi_cdc."trips$snapshots"'),
        },
    ),
)
