"""Rows and changes for the writers: real trips, repeated under new keys, and batches that change some of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.source import SourceColumn, SourceTable
from catalog.tables.cdc import INSTANT
from connectors import tlc
from streaming.envelope import Events
from streaming.shape import shaped

UPDATE_SHARE, INSERT_SHARE = 0.80, 0.15
"""The rest of a batch are deletes."""
RECENT_KEYS, RECENT_SHARE = 0.05, 0.90
"""Shape `recent`: this share of the changes falls on this share of the keys, the newest."""

_COLUMNS = (
    ("trip_id", "bigint"),
    ("vendor_id", "integer"),
    ("pickup_at", "timestamp with time zone"),
    ("dropoff_at", "timestamp with time zone"),
    ("passenger_count", "integer"),
    ("trip_distance", "numeric(8,2)"),
    ("pickup_location_id", "integer"),
    ("dropoff_location_id", "integer"),
    ("payment_type", "integer"),
    ("fare_amount", "numeric(10,2)"),
    ("tip_amount", "numeric(10,2)"),
    ("tolls_amount", "numeric(10,2)"),
    ("total_amount", "numeric(10,2)"),
    ("store_and_fwd_flag", "text"),
    ("note", "text"),
    ("extra", "jsonb"),
    ("source_file", "text"),
    ("source_row", "integer"),
    ("created_at", "timestamp with time zone"),
    ("updated_at", "timestamp with time zone"),
)
KEY = "trip_id"
TRIPS = SourceTable(
    schema="public",
    name="trips",
    columns=tuple(SourceColumn(name, n, kind, False, name == KEY) for n, (name, kind) in enumerate(_COLUMNS, 1)),
    key=(KEY,),
    full_identity=True,
)


class Keys(StrEnum):
    """What kind of key a trip has. Integers lie in the order in which trips came, uuids in none."""

    INTEGER = "integer"
    UUID = "uuid"


def source(keys: Keys) -> SourceTable:
    """The source table with keys of a kind."""
    if keys is Keys.INTEGER:
        return TRIPS
    key, *others = TRIPS.columns
    return replace(TRIPS, columns=(replace(key, postgres="uuid"), *others))


class Shape(StrEnum):
    """Where in the table the changed keys lie."""

    UNIFORM = "uniform"
    RECENT = "recent"


@dataclass(frozen=True)
class Batch:
    """Changes, each of another key, as the stream's events; `next_offset` is where a table stands after them."""

    events: Events
    next_offset: int

    def rows(self) -> pa.Table:
        """The same changes as rows for MERGE: the columns of a trip and `op`; a delete has only its key."""
        keys = self.events.keys((KEY,))[KEY]
        images = self.events.after.set_column(0, KEY, keys)
        return images.append_column("op", pa.array(self.events.op, pa.string()))


def trips(first: int, count: int, keys: Keys = Keys.INTEGER) -> pa.Table:
    """`count` trips with keys from number `first` on."""
    real = _real_trips()
    begin = first % len(real)
    repeated = pa.concat_tables([real] * ((begin + count) // len(real) + 1)).slice(begin, count)
    return _with_keys(repeated, np.arange(first, first + count, dtype=np.int64), keys)


def _with_keys(trips: pa.Table, numbers: np.ndarray, keys: Keys) -> pa.Table:
    """The trips under the keys of these numbers; one number always has the same key."""
    values = pa.array(numbers)
    if keys is Keys.UUID:
        digests = (hashlib.md5(number.tobytes(), usedforsecurity=False).digest() for number in numbers)
        values = pa.array([str(UUID(bytes=digest)) for digest in digests])
    return trips.set_column(0, source(keys).arrow_schema.field(KEY), values)


def batches(rows: int, changes: int, shape: Shape, seed: int = 1, keys: Keys = Keys.INTEGER) -> Iterator[Batch]:
    """Endless batches of `changes` changes to a table that began with the keys of numbers 0 … rows - 1."""
    random = np.random.default_rng(seed)
    next_key, next_offset = rows, 0
    while True:
        inserts = round(changes * INSERT_SHARE)
        old = _chosen(random, rows, changes - inserts, shape)
        deletes = max(0, old.size - round(changes * UPDATE_SHARE))
        numbers = np.concatenate([old, np.arange(next_key, next_key + inserts, dtype=np.int64)])
        ops = np.array(["d"] * deletes + ["u"] * (old.size - deletes) + ["c"] * inserts)
        order = random.permutation(numbers.size)
        next_key += inserts
        next_offset += numbers.size
        events = _events(random, numbers[order], ops[order], next_offset - numbers.size, keys)
        yield Batch(events, next_offset)


def _chosen(random: np.random.Generator, rows: int, count: int, shape: Shape) -> np.ndarray:
    """Distinct old keys in random order; fewer than `count` where the shape has not so many."""
    if shape is Shape.UNIFORM:
        return random.choice(rows, min(count, rows), replace=False)
    newest = max(1, round(rows * RECENT_KEYS))
    hot = min(newest, round(count * RECENT_SHARE))
    cold = min(rows - newest, count - hot)
    parts = [rows - newest + random.choice(newest, hot, replace=False), random.choice(rows - newest, cold, False)]
    return random.permutation(np.concatenate(parts))


def _events(random: np.random.Generator, numbers: np.ndarray, ops: np.ndarray, first_offset: int, keys: Keys) -> Events:
    count = numbers.size
    gone = pa.array(ops == "d")
    images = _real_trips().take(pa.array(random.integers(0, len(_real_trips()), count)))
    images = _with_keys(images, numbers, keys)
    fare = images.schema.get_field_index("fare_amount")
    cents = pa.array(random.integers(250, 9000, count)).cast(pa.decimal128(19, 0))
    fares = pc.divide(cents, pa.scalar(100, pa.decimal128(3, 0))).cast(pa.decimal128(10, 2), safe=False)
    images = images.set_column(fare, images.schema.field(fare), fares)
    return Events(
        op=ops.tolist(),
        partition=pa.repeat(pa.scalar(0, pa.int32()), count),
        offset=pa.array(np.arange(first_offset, first_offset + count)),
        previous_commit_lsn=pa.repeat(first_offset, count),
        lsn=pa.array(np.arange(first_offset, first_offset + count)),
        transaction_id=pa.repeat(first_offset, count),
        committed_at=pa.repeat(pa.scalar(datetime.now(UTC), INSTANT), count),
        copy_marker=["false"] * count,
        before=_only(images, gone),
        after=_only(images, pc.invert(gone)),
    )


def _only(images: pa.Table, wanted: pa.Array) -> pa.Table:
    """The images where they are `wanted`, null elsewhere."""
    columns = [pc.if_else(wanted, column, pa.scalar(None, column.type)) for column in images.columns]
    return pa.table(columns, names=images.column_names)


@cache
def _real_trips() -> pa.Table:
    values = zip(*(tlc.source_row_values(trip, 0) for trip in tlc.read_trips()), strict=True)
    real = {name: list(column) for name, column in zip(tlc.COLUMNS, values, strict=True)}
    count = len(real["pickup_at"])
    written = pa.repeat(pa.scalar(datetime(2026, 1, 1, tzinfo=UTC), INSTANT), count)
    columns: dict[str, pa.Array] = {KEY: pa.array(np.arange(count, dtype=np.int64))}
    for name, kind in ((column.name, column.type.arrow) for column in TRIPS.columns[1:]):
        if name in ("created_at", "updated_at"):
            columns[name] = written
        elif pa.types.is_decimal(kind):
            columns[name] = pa.array(real[name], pa.string()).cast(kind)
        else:
            columns[name] = pa.array(real.get(name, [None] * count), kind)
    return shaped(pa.table(columns), TRIPS.arrow_schema)
