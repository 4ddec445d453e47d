"""A backlog for benchmarks: as many changes as asked for, as fast as Postgres takes them, in transactions of 500."""

from __future__ import annotations

from random import Random
from time import monotonic
from typing import Any

import psycopg
from psycopg import sql

from catalog.settings import Settings
from connectors.load import Progress
from connectors.source import connected
from connectors.tlc import read_trips, spread, two_places, whole
from connectors.traffic import Counts, begin, finish, starting_point

TRANSACTION = 500
UPDATE_SHARE = 0.25
DELETE_SHARE = 0.05
TEMPLATES = 10_000
"""Real trips held in a temporary table, from which new trips are copied inside Postgres; it writes no logical WAL."""
COPIED = sql.SQL(
    "vendor_id, passenger_count, trip_distance, pickup_location_id, dropoff_location_id, payment_type,"
    " fare_amount, tip_amount, tolls_amount, total_amount, store_and_fwd_flag"
)
INSERT = sql.SQL("""
    insert into trips ({copied}, pickup_at, dropoff_at)
    select {copied}, now() - make_interval(secs => 300 + n %% 3000), now()
    from template where n >= %(first)s and n < %(last)s
    returning trip_id
""").format(copied=COPIED)
UPDATE = """
    update trips
    set fare_amount = fare_amount + 0.50, tip_amount = tip_amount + 1.00, total_amount = total_amount + 1.50,
        updated_at = now()
    where trip_id = any(%s)
"""
DELETE = "delete from trips where trip_id = any(%s)"


def run_backlog(settings: Settings, changes: int, seed: int = 1, progress: Progress | None = None) -> Counts:
    """Commit `changes` row changes, 70 % inserts, 25 % updates and 5 % deletes, and count them.

    Commits do not wait for the disk; a crash of Postgres may take the last of them back.
    Raises SourceError when the source holds no trips to change.
    """
    counts = Counts()
    random = Random(seed)
    with connected(settings, "taxi") as connection:
        connection.execute("set synchronous_commit = off")
        _make_templates(connection)
        trips = list(starting_point(connection, TEMPLATES).trips)
        replay_id = begin(connection, "backlog", seed, {"changes": changes})
        began = monotonic()
        while counts.changes < changes:
            before = counts.changes
            _run_one(connection, random, trips, counts, min(TRANSACTION, changes - counts.changes))
            if progress:
                progress(counts.changes - before)
        counts.seconds = monotonic() - began
        finish(connection, replay_id, counts)
    return counts


def _run_one(
    connection: psycopg.Connection[tuple[Any, ...]], random: Random, trips: list[int], counts: Counts, size: int
) -> None:
    """One transaction; the trips that it updates and deletes existed before it and are distinct."""
    updates, deletes = round(size * UPDATE_SHARE), round(size * DELETE_SHARE)
    chosen = random.sample(range(len(trips)), min(len(trips), updates + deletes))
    touched = [trips[place] for place in chosen]
    gone = sorted(chosen[updates:], reverse=True)
    first = random.randrange(TEMPLATES - TRANSACTION)
    with connection.transaction():
        inserts = size - len(chosen)
        new = connection.execute(INSERT, {"first": first, "last": first + inserts}).fetchall()
        counts.inserts += len(new)
        counts.updates += connection.execute(UPDATE, [touched[:updates]]).rowcount
        counts.deletes += connection.execute(DELETE, [touched[updates:]]).rowcount
    counts.transactions += 1
    for place in gone:
        trips[place] = trips[-1]
        trips.pop()
    trips.extend(row[0] for row in new)


def _make_templates(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    connection.execute("drop table if exists pg_temp.template")
    connection.execute(
        sql.SQL("create temporary table template as select 0 as n, {} from trips limit 0").format(COPIED)
    )
    with connection.cursor().copy(sql.SQL("copy template (n, {}) from stdin").format(COPIED)) as copy:
        for number, (trip, _) in enumerate(spread(read_trips(), TEMPLATES)):
            values = trip.values
            copy.write_row(
                (
                    number,
                    values["VendorID"],
                    whole(values["passenger_count"]),
                    two_places(values["trip_distance"]),
                    values["PULocationID"],
                    values["DOLocationID"],
                    values["payment_type"],
                    *(two_places(values[f"{name}_amount"]) for name in ("fare", "tip", "tolls", "total")),
                    values["store_and_fwd_flag"],
                )
            )
    connection.execute("create index on template (n)")
    connection.execute("analyze template")
