"""How fast a table's rows come from Postgres into mirror and changelog, its changes streaming meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.accounting import Watched
from bench.chain import POLL_SECONDS, Chain, component_names
from bench.machine import Machine, describe, load_average
from catalog.errors import ComponentError
from catalog.readers import duckdb_connection
from catalog.settings import Settings
from connectors.load import load_trips
from connectors.source import connected
from streaming.requests import Request, answer, submit

NAME = "bench_copy"
TABLE = f"public.{NAME}"
LONGEST_SECONDS = 3600.0
_FILL = """
insert into bench_copy
select row_number() over (), vendor_id, pickup_at, dropoff_at, passenger_count, trip_distance, pickup_location_id,
    dropoff_location_id, payment_type, fare_amount, tip_amount, tolls_amount, total_amount, store_and_fwd_flag, note,
    extra, source_file, source_row, created_at, updated_at
from trips cross join generate_series(1, %s) limit %s
"""
_HELD = """
select count(*), count(distinct trip_id), (
    select count(*) from iceberg.taxi_cdc.bench_copy_cdc
    where generation = (select max(generation) from iceberg.taxi_cdc.bench_copy_cdc)
)
from iceberg.taxi_cdc.bench_copy
"""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Copied:
    """A whole run. `source_bytes` is the table's size in Postgres; `complete` whether the lake has just its rows."""

    rows: int
    source_bytes: int
    seconds: float
    cpu_seconds: dict[str, float]
    complete: bool
    peak_memory: dict[str, int]
    machine: Machine

    @property
    def rows_per_second(self) -> float:
        """From the request to the table that streams."""
        return self.rows / self.seconds


@contextmanager
def source_table(settings: Settings, rows: int) -> Iterator[int]:
    """A table of `rows` trips in the source for the length of the block; gives its bytes."""
    load_trips(settings)
    with connected(settings, "taxi") as connection:
        connection.execute("drop table if exists bench_copy")
        connection.execute("create table bench_copy (like trips, primary key (trip_id))")
        (trips,) = connection.execute("select count(*) from trips").fetchone() or (0,)
        connection.execute(_FILL, [math.ceil(rows / trips), rows])
        connection.execute("analyze bench_copy")
        (size,) = connection.execute("select pg_total_relation_size('bench_copy')").fetchone() or (0,)
        try:
            yield int(size)
        finally:
            connection.execute("drop table bench_copy")


def measure(settings: Settings, rows: int, source_bytes: int, report: Report = lambda phase: None) -> Copied:
    """Have the stream copy the joined table anew, as it does when a table joins. Raises ComponentError."""
    chain, load_before = Chain(settings), load_average()
    watched = Watched.of(settings, component_names())
    watched.forget_peaks()
    with watched.spending() as spending:
        began = time.monotonic()
        request = Request("resync", TABLE)
        submit(settings, request)
        while (outcome := answer(settings, request)) is None or chain.state(TABLE).get("state") != "running":
            if outcome and "error" in outcome:
                raise ComponentError(f"the copy failed: {outcome['error']}", remedy="lake logs stream")
            if time.monotonic() - began > LONGEST_SECONDS:
                raise ComponentError(f"no end of the copy after {LONGEST_SECONDS:.0f} s", remedy="lake logs stream")
            report(chain.state(TABLE).get("reason") or "waiting for the table to stream")
            time.sleep(POLL_SECONDS)
        seconds = round(time.monotonic() - began, 3)
    machine = describe(settings, load_before)
    peaks, complete = watched.peak_memory(), _held(settings) == {rows}
    return Copied(rows, source_bytes, seconds, spending.cpu_seconds, complete, peaks, machine)


def _held(settings: Settings) -> set[int]:
    """Rows of the mirror, its keys, and rows of the changelog's last generation."""
    with duckdb_connection(settings) as connection:
        return set(connection.execute(_HELD).fetchone() or ())
