"""Traffic at a given rate: runs planned transactions against the source and counts what was committed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import psycopg

from catalog.errors import SourceError
from catalog.settings import Settings
from connectors.load import Progress
from connectors.plan import Cancellation, Change, Correction, NewTrip, Remark, Rename, Start, Transaction, transactions
from connectors.source import connected
from connectors.tlc import TlcTrip, read_trips, two_places, whole

KNOWN_TRIPS = 100_000
"""Existing trips that traffic may change: the newest ones by key."""
INSERT = """
    insert into trips (
        vendor_id, pickup_at, dropoff_at, passenger_count, trip_distance, pickup_location_id, dropoff_location_id,
        payment_type, fare_amount, tip_amount, tolls_amount, total_amount, store_and_fwd_flag, note, extra
    ) values (%s, now() - %s, now(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    returning trip_id
"""
CORRECT = """
    update trips
    set fare_amount = fare_amount + %(fare)s, tip_amount = tip_amount + %(tip)s,
        total_amount = total_amount + %(fare)s + %(tip)s, updated_at = now()
    where trip_id = %(trip)s
"""
REMARK = """
    update trips
    set note = %s, extra = coalesce(extra, '{}') || jsonb_build_object('reviewer', %s::integer), updated_at = now()
    where trip_id = %s
"""
CANCEL = "delete from trips where trip_id = %s"
RENAME = "update vendors set name = %s, active = %s, updated_at = now() where vendor_id = %s"


@dataclass
class Counts:
    """What a run committed. `rolled_back` counts transactions; all others of its changes count nowhere."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    transactions: int = 0
    rolled_back: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def changes(self) -> int:
        """Committed row changes."""
        return self.inserts + self.updates + self.deletes

    @property
    def rate(self) -> float:
        """Committed row changes a second."""
        return self.changes / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """All counts, with the rate reached."""
        return asdict(self) | {"changes": self.changes, "rate": round(self.rate, 1), "seconds": round(self.seconds, 3)}


def run_traffic(settings: Settings, rate: float, seconds: float, seed: int, progress: Progress | None = None) -> Counts:
    """Run planned transactions for so many seconds at about `rate` committed changes a second.

    Raises SourceError when the source holds no trips to change.
    """
    counts = Counts()
    templates = read_trips()
    with connected(settings, "taxi") as connection:
        start = starting_point(connection, len(templates))
        replay_id = begin(connection, "traffic", seed, {"rate": rate, "seconds": seconds})
        executor = _Executor(connection, templates)
        began = monotonic()
        for transaction in _until(began + seconds, transactions(seed, start)):
            before = counts.changes
            executor.run(transaction, counts)
            if progress:
                progress(counts.changes - before)
            sleep(max(0.0, min(began + counts.changes / rate, began + seconds) - monotonic()))
        counts.seconds = monotonic() - began
        finish(connection, replay_id, counts)
    return counts


def starting_point(connection: psycopg.Connection[tuple[Any, ...]], templates: int) -> Start:
    """The newest trips and the vendors, in key order."""
    trips = connection.execute(
        "select trip_id from (select trip_id from trips order by trip_id desc limit %s) as newest order by trip_id",
        [KNOWN_TRIPS],
    ).fetchall()
    if not trips:
        raise SourceError("the source holds no trips to change", remedy="scripts/lake replay --load-only loads them")
    vendors = connection.execute("select vendor_id, name from vendors order by vendor_id").fetchall()
    return Start(tuple(row[0] for row in trips), tuple((row[0], row[1]) for row in vendors), templates)


def begin(connection: psycopg.Connection[tuple[Any, ...]], mode: str, seed: int, parameters: dict[str, Any]) -> int:
    """Record that a run began; returns its number."""
    row = connection.execute(
        "insert into replay (mode, seed, parameters) values (%s, %s, %s) returning replay_id",
        [mode, seed, json.dumps(parameters)],
    ).fetchone()
    if row is None:
        raise SourceError("the source did not record the run", remedy="look at table replay")
    return int(row[0])


def finish(connection: psycopg.Connection[tuple[Any, ...]], replay_id: int, counts: Counts) -> None:
    """Record what a run did."""
    connection.execute(
        "update replay set finished_at = now(), result = %s where replay_id = %s",
        [json.dumps(counts.as_json()), replay_id],
    )


def _until(deadline: float, planned: Iterator[Transaction]) -> Iterator[Transaction]:
    while monotonic() < deadline:
        yield next(planned)


class _Executor:
    """Turns planned changes into statements and remembers which key Postgres gave to which new trip."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], templates: tuple[TlcTrip, ...]) -> None:
        self._connection = connection
        self._templates = templates
        self._keys: dict[int, int] = {}

    def run(self, transaction: Transaction, counts: Counts) -> None:
        """Run one transaction and count what it committed."""
        done = {"inserts": 0, "updates": 0, "deletes": 0}
        with self._connection.transaction(force_rollback=not transaction.commits):
            for change in transaction.changes:
                kind = _counted_as(change)
                done[kind] += self._apply(change)
        if not transaction.commits:
            counts.rolled_back += 1
            return
        counts.transactions += 1
        counts.inserts += done["inserts"]
        counts.updates += done["updates"]
        counts.deletes += done["deletes"]

    def _apply(self, change: Change) -> int:
        if isinstance(change, NewTrip):
            row = self._connection.execute(INSERT, _new_values(self._templates[change.template], change)).fetchone()
            if row is not None:
                self._keys[change.trip] = row[0]
            return 1
        return self._connection.execute(*self._statement(change)).rowcount

    def _statement(self, change: Correction | Remark | Cancellation | Rename) -> tuple[str, Any]:
        if isinstance(change, Rename):
            return RENAME, [change.name, change.active, change.vendor_id]
        key = self._keys.get(change.trip, change.trip)
        if isinstance(change, Correction):
            return CORRECT, {"fare": _money(change.fare_cents), "tip": _money(change.tip_cents), "trip": key}
        if isinstance(change, Remark):
            return REMARK, [change.note, change.reviewer, key]
        return CANCEL, [key]


def _counted_as(change: Change) -> str:
    if isinstance(change, NewTrip):
        return "inserts"
    return "deletes" if isinstance(change, Cancellation) else "updates"


def _money(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _new_values(template: TlcTrip, change: NewTrip) -> list[Any]:
    values = template.values
    return [
        values["VendorID"],
        timedelta(seconds=change.seconds),
        whole(values["passenger_count"]),
        two_places(values["trip_distance"]),
        values["PULocationID"],
        values["DOLocationID"],
        values["payment_type"],
        *(two_places(values[f"{name}_amount"]) for name in ("fare", "tip", "tolls", "total")),
        values["store_and_fwd_flag"],
        change.note,
        None,
    ]
