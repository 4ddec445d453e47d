"""TLC's columns: under which names and types the published files held them over the years, and what we read them as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from batch.taxi.values import can_hold
from catalog.errors import BatchError

_WHOLE = pa.int32()
_MILES = pa.decimal128(8, 2)
_DOLLARS = pa.decimal128(10, 2)
_LOCAL_TIME = pa.timestamp("us")
_TEXT = pa.string()
_IN_SPARK = {
    _WHOLE: "int",
    _MILES: "decimal(8, 2)",
    _DOLLARS: "decimal(10, 2)",
    _LOCAL_TIME: "timestamp_ntz",
    _TEXT: "string",
}


@dataclass(frozen=True, slots=True)
class TlcColumn:
    """A column under TLC's name, and the type that its values are read as; a file may lack it unless it is required."""

    name: str
    type: pa.DataType
    required: bool = False

    @property
    def in_spark(self) -> str:
        """Name and type as Spark SQL writes them."""
        return f"{self.name} {_IN_SPARK[self.type]}"


COLUMNS = (
    TlcColumn("VendorID", _WHOLE),
    TlcColumn("tpep_pickup_datetime", _LOCAL_TIME, required=True),
    TlcColumn("tpep_dropoff_datetime", _LOCAL_TIME, required=True),
    TlcColumn("passenger_count", _WHOLE),
    TlcColumn("trip_distance", _MILES, required=True),
    TlcColumn("RatecodeID", _WHOLE),
    TlcColumn("store_and_fwd_flag", _TEXT),
    TlcColumn("PULocationID", _WHOLE, required=True),
    TlcColumn("DOLocationID", _WHOLE, required=True),
    TlcColumn("payment_type", _WHOLE),
    TlcColumn("fare_amount", _DOLLARS, required=True),
    TlcColumn("extra", _DOLLARS),
    TlcColumn("mta_tax", _DOLLARS),
    TlcColumn("tip_amount", _DOLLARS),
    TlcColumn("tolls_amount", _DOLLARS),
    TlcColumn("improvement_surcharge", _DOLLARS),
    TlcColumn("total_amount", _DOLLARS, required=True),
    TlcColumn("congestion_surcharge", _DOLLARS),
    TlcColumn("airport_fee", _DOLLARS),
    TlcColumn("cbd_congestion_fee", _DOLLARS),
)
"""All that TLC has published for yellow taxis since it names zones instead of coordinates."""


@dataclass(frozen=True)
class Match:
    """The file's name of each column that it holds, by TLC's name; the file's columns that nobody knows."""

    names: Mapping[str, str]
    unknown: tuple[str, ...]


def match(file: str, schema: pa.Schema) -> Match:
    """Find our columns in a file's footer, whatever their case: TLC wrote airport_fee and Airport_fee.

    Raises BatchError where a required column is missing, two columns answer to one name, or a type cannot be read.
    """
    known = {column.name.casefold(): column for column in COLUMNS}
    names: dict[str, str] = {}
    unknown = []
    for held in schema:
        column = known.get(held.name.casefold())
        if column is None:
            unknown.append(held.name)
        elif column.name in names:
            raise BatchError(f"{file} holds {names[column.name]} and {held.name}", remedy=_ASK_TLC)
        elif not can_hold(held.type, column.type):
            raise BatchError(f"{file}: {held.name} is {held.type}, which is not read as {column.type}", remedy=_ASK_TLC)
        else:
            names[column.name] = held.name
    missing = [column.name for column in COLUMNS if column.required and column.name not in names]
    if missing:
        raise BatchError(f"{file} lacks {', '.join(missing)}", remedy=_ASK_TLC)
    return Match(names, tuple(unknown))


_ASK_TLC = "compare the file with TLC's data dictionary; if TLC changed its columns, change COLUMNS in batch/taxi"
