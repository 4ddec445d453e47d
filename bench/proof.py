"""What a verification costs: a table of Postgres, its mirror and its changelog, compared row for row.

The table is made, and the lake's two hold what was read of it, as after an initial copy. They are the benchmark's own
and dropped at the end; neither the connector nor the stream takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from bench.accounting import Watched
from bench.machine import Machine, describe, load_average
from catalog.positions import PartitionPosition, Position
from catalog.published import read_source_tables
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import NAMESPACE, SourceTable
from catalog.tables.cdc import POSITION_PROPERTY, changelog_schema, mirror_schema
from catalog.verification.barrier import SourcePoint, source_point
from catalog.verification.coverage import pin
from catalog.verification.source_rows import key_ranges, range_key, read_range
from catalog.verification.verify import verify_table
from connectors.source import connected

NAME = "bench_verify"
COMPONENTS = ("store", "catalog", "postgres")
OURSELVES = "verify"
_ROWS_PER_FILE = 500_000
_TABLE = f"""
create table {NAME} (
    trip_id bigint primary key, vendor_id int, pickup_at timestamptz, dropoff_at timestamptz, passenger_count int,
    trip_distance numeric(8, 2), pickup_location_id int, dropoff_location_id int, payment_type int,
    fare_amount numeric(10, 2), tip_amount numeric(10, 2), total_amount numeric(10, 2), note text
)
"""
_ROWS = """
insert into bench_verify select n, 1 + n %% 2, now() - n * interval '1 second', now() - n * interval '50 seconds',
    n %% 6, (n %% 3000) / 100.0, 1 + n %% 263, 1 + n * 7 %% 263, 1 + n %% 4, (n %% 9000) / 100.0,
    nullif(n %% 7, 0), (n %% 9700) / 100.0, case when n %% 5 = 0 then 'note ' || n end
from generate_series(1, %s) as n
"""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Proof:
    """A whole run: `equal` is the verdict, the seconds are the comparison's alone."""

    rows: int
    equal: bool
    wall_seconds: float
    cpu_seconds: dict[str, float]
    peak_memory: dict[str, int]
    machine: Machine


def measure(settings: Settings, rows: int, report: Report = lambda phase: None) -> Proof:
    """Verify a table of so many rows once. Needs Postgres, store and REST catalog. Raises ComponentError."""
    load_before = load_average()
    own = settings.model_copy(update={"publication": NAME})
    with _tables(own, rows, report) as source, source_point(own) as point:
        report("comparing")
        watched = Watched.of(settings, COMPONENTS, ourselves=OURSELVES)
        watched.forget_peaks()
        pinned = pin(iceberg_catalog(own), source, {0: 0})
        with watched.spending() as spending:
            found = verify_table(own, point, pinned)
        peaks, machine = watched.peak_memory(), describe(settings, load_before)
    return Proof(rows, found.equal, spending.wall_seconds, spending.cpu_seconds, peaks, machine)


@contextmanager
def _tables(settings: Settings, rows: int, report: Report) -> Iterator[SourceTable]:
    """The three tables, dropped after the block."""
    _drop(settings)
    try:
        report(f"making a table of {rows:,} rows in Postgres")
        with connected(settings, "taxi") as connection:
            connection.execute(_TABLE)
            connection.execute(_ROWS, [rows])
            connection.execute(f"alter table {NAME} replica identity full")
            connection.execute(f"grant select on {NAME} to cdc")
            connection.execute(f"create publication {NAME} for table {NAME}")
            (source,) = read_source_tables(connection, NAME)
        report("copying it into mirror and changelog")
        with source_point(settings) as point:
            _copy(settings, source, point)
        yield source
    finally:
        _drop(settings)


def _copy(settings: Settings, source: SourceTable, point: SourcePoint) -> None:
    catalog = iceberg_catalog(settings)
    catalog.create_namespace_if_not_exists(NAMESPACE)
    position = Position(NAME, {0: PartitionPosition(0)}, 1)
    summary = {POSITION_PROPERTY: position.to_json()}
    mirror = catalog.create_table(source.mirror, mirror_schema(source))
    changelog = catalog.create_table(source.changelog, changelog_schema(source))
    key = range_key(point.connection, source)
    for cut in key_ranges(point.connection, source, key, _ROWS_PER_FILE):
        rows = read_range(point.connection, source, key, cut).cast(mirror_schema(source))
        mirror.append(rows, snapshot_properties=summary)
        changelog.append(_events(rows, source, point), snapshot_properties=summary)


def _events(rows: pa.Table, source: SourceTable, point: SourcePoint) -> pa.Table:
    """Rows as a changelog's events of a copy."""
    schema, count = changelog_schema(source), len(rows)
    known = {"op": "r", "lsn": point.lsn, "committed_at": point.at, "generation": 1}
    columns = [
        pa.repeat(pa.scalar(known[field.name], field.type), count)
        if field.name in known
        else pa.nulls(count, field.type)
        for field in schema
    ]
    for name, names in (("key", source.key), ("after", rows.column_names)):
        place = schema.get_field_index(name)
        parts = [rows[part].combine_chunks() for part in names]
        columns[place] = pa.StructArray.from_arrays(parts, fields=list(schema.field(name).type))
    return pa.table(columns, schema=schema)


def _drop(settings: Settings) -> None:
    catalog = iceberg_catalog(settings)
    for identifier in (f"{NAMESPACE}.{NAME}", f"{NAMESPACE}.{NAME}_cdc"):
        if catalog.table_exists(identifier):
            catalog.purge_table(identifier)
    with connected(settings, "taxi") as connection:
        connection.execute(f"drop publication if exists {NAME}")
        connection.execute(f"drop table if exists {NAME}")
