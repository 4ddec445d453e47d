"""Real trips: twelve months of TLC's Parquet files as rows of the source table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import pyarrow.parquet as parquet

from catalog.settings import SAMPLE
from connectors.calendar_shift import shift_for, to_instant

FILES = SAMPLE / "tlc"
COLUMNS = (
    "vendor_id",
    "pickup_at",
    "dropoff_at",
    "passenger_count",
    "trip_distance",
    "pickup_location_id",
    "dropoff_location_id",
    "payment_type",
    "fare_amount",
    "tip_amount",
    "tolls_amount",
    "total_amount",
    "store_and_fwd_flag",
    "extra",
    "source_file",
    "source_row",
)
"""Columns of `trips` that a TLC row fills, in the order of `source_row_values`."""
OTHER_NUMBERS = ("extra", "mta_tax", "improvement_surcharge", "congestion_surcharge")


@dataclass(frozen=True, slots=True)
class TlcTrip:
    """One row of a TLC file, under TLC's names, with its place."""

    file: str
    row: int
    values: dict[str, Any]

    @property
    def pickup(self) -> datetime:
        """Pick-up, naive New York time."""
        return self.values["tpep_pickup_datetime"]

    @property
    def dropoff(self) -> datetime:
        """Drop-off, naive New York time."""
        return self.values["tpep_dropoff_datetime"]


@cache
def read_trips() -> tuple[TlcTrip, ...]:
    """Every trip of every file, by pick-up time, then file, then row."""
    trips = [
        TlcTrip(path.name, row, values)
        for path in sorted(FILES.glob("*.parquet"))
        for row, values in enumerate(parquet.read_table(path).to_pylist())
    ]
    return tuple(sorted(trips, key=lambda trip: (trip.pickup, trip.file, trip.row)))


def shift_to(trips: Sequence[TlcTrip], now: datetime) -> int:
    """Weeks by which these trips move so that none of their times is later than `now`."""
    return shift_for((time for trip in trips for time in (trip.pickup, trip.dropoff)), now)


def spread(trips: Sequence[TlcTrip], rows: int) -> Iterator[tuple[TlcTrip, bool]]:
    """`rows` trips evenly over the whole time, and whether each is the first of its kind.

    More rows than trips repeat them all, again and again.
    """
    total = len(trips)
    if rows <= total:
        for index in range(rows):
            yield trips[index * total // rows], True
        return
    for index in range(rows):
        yield trips[index % total], index < total


def source_row_values(trip: TlcTrip, shift_weeks: int, *, first: bool = True) -> tuple[Any, ...]:
    """The values of COLUMNS; a repeated trip has no place in a file, because a place counts once."""
    values = trip.values
    pickup_at, pickup_clock = to_instant(trip.pickup, shift_weeks)
    dropoff_at, dropoff_clock = to_instant(trip.dropoff, shift_weeks)
    clock = {name: flag for name, flag in (("pickup_clock", pickup_clock), ("dropoff_clock", dropoff_clock)) if flag}
    return (
        values["VendorID"],
        pickup_at,
        dropoff_at,
        whole(values["passenger_count"]),
        two_places(values["trip_distance"]),
        values["PULocationID"],
        values["DOLocationID"],
        values["payment_type"],
        two_places(values["fare_amount"]),
        two_places(values["tip_amount"]),
        two_places(values["tolls_amount"]),
        two_places(values["total_amount"]),
        values["store_and_fwd_flag"],
        other_columns(values, clock),
        trip.file if first else None,
        trip.row if first else None,
    )


def two_places(number: float | None) -> str | None:
    """The decimal text of a Parquet double, rounded to the cent: TLC writes cents, a double is only close to them."""
    return None if number is None else f"{number:.2f}"


def whole(number: float | None) -> int | None:
    """A whole number that TLC stores as a double because some are missing."""
    return None if number is None else int(number)


def other_columns(values: dict[str, Any], clock: Mapping[str, str]) -> str:
    """TLC's columns without one of their own and the clock flags as JSON text; numbers keep their cents."""
    parts = [f'"{name}": {two_places(values[name])}' for name in OTHER_NUMBERS if values[name] is not None]
    rate = whole(values["RatecodeID"])
    parts += [f'"rate_code": {rate}'] if rate is not None else []
    parts += [f'"{name}": {json.dumps(flag)}' for name, flag in clock.items()]
    return "{" + ", ".join(parts) + "}"
