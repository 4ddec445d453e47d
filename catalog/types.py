"""How a Postgres type is held in Iceberg: without loss, or refused.

Each `ColumnType` joins four views of one type: Postgres' own name, the Spark SQL type of the Iceberg column, its Arrow
type in memory, and the `Form` in which Debezium writes a value into JSON (`decimal.handling.mode=string`,
`time.precision.mode=isostring`, `binary.handling.mode=base64`, `interval.handling.mode=string`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from catalog.errors import UnsupportedTypeError

MAX_DECIMAL_PRECISION = 38
"""Iceberg's largest decimal; a wider `numeric` is kept as its exact text."""


class Form(StrEnum):
    """How Debezium's JSON carries a value."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    TEXT = "text"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    INSTANT = "instant"
    BASE64 = "base64"
    NUMERIC = "numeric"
    INTERVAL = "interval"
    BITS = "bits"
    LIST = "list"


@dataclass(frozen=True)
class ColumnType:
    """One column's type. `postgres` is `format_type`'s name, `spark` the DDL type of the Iceberg column."""

    postgres: str
    spark: str
    arrow: pa.DataType
    form: Form
    element: ColumnType | None = None

    def copied_as(self, column: str) -> str:
        """The SQL expression whose text output equals the text that the lake holds."""
        if self.postgres == "money":
            return f"{column}::numeric"
        if self.element is not None:
            # Inside of JSON these would be values of its own, no texts that keep every character.
            nested = self.element.form is Form.NUMERIC or self.element.postgres in ("json", "jsonb")
            return f"array_to_json({column}{'::text[]' if nested else ''})"
        return column


_PLAIN: dict[str, tuple[str, pa.DataType, Form]] = {
    "boolean": ("boolean", pa.bool_(), Form.BOOLEAN),
    "smallint": ("int", pa.int32(), Form.INTEGER),
    "integer": ("int", pa.int32(), Form.INTEGER),
    "bigint": ("bigint", pa.int64(), Form.INTEGER),
    "real": ("float", pa.float32(), Form.FLOAT),
    "double precision": ("double", pa.float64(), Form.FLOAT),
    "money": ("decimal(19,2)", pa.decimal128(19, 2), Form.DECIMAL),
    "date": ("date", pa.date32(), Form.DATE),
    "time without time zone": ("string", pa.string(), Form.TIME),
    "timestamp without time zone": ("timestamp_ntz", pa.timestamp("us"), Form.TIMESTAMP),
    "timestamp with time zone": ("timestamp", pa.timestamp("us", "UTC"), Form.INSTANT),
    "bytea": ("binary", pa.binary(), Form.BASE64),
    "bit": ("string", pa.string(), Form.BITS),
    "interval": ("string", pa.string(), Form.INTERVAL),
    "numeric": ("string", pa.string(), Form.NUMERIC),
}
_TEXT = frozenset(
    {
        "text",
        "character varying",
        "character",
        "citext",
        "uuid",
        "json",
        "jsonb",
        "xml",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "tsvector",
        "ltree",
        "int4range",
        "int8range",
        "numrange",
        "daterange",
        "tsrange",
        "tstzrange",
    }
)
_ELEMENTS = frozenset(
    {
        *("boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric"),
        *("text", "character varying", "character", "uuid", "json", "jsonb", "bytea"),
        *("date", "time without time zone", "timestamp without time zone", "timestamp with time zone"),
        *("inet", "macaddr", "int4range"),
    }
)
"""Of which arrays come whole, as tests/conformance shows; Debezium leaves out arrays that it cannot read."""
_NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")
_MODIFIER = re.compile(r"\([\d,-]+\)")


def column_type(postgres: str, *, is_enum: bool = False) -> ColumnType:
    """The type of a column, from `format_type` (domains resolved). Raises UnsupportedTypeError."""
    if postgres.endswith("[]") and (is_enum or _MODIFIER.sub("", postgres[:-2]) in _ELEMENTS):
        element = column_type(postgres[:-2], is_enum=is_enum)
        return ColumnType(postgres, f"array<{element.spark}>", pa.list_(element.arrow), Form.LIST, element)
    if is_enum:
        return ColumnType(postgres, "string", pa.string(), Form.TEXT)
    if match := _NUMERIC.fullmatch(postgres):
        precision, scale = int(match[1]), int(match[2])
        if precision <= MAX_DECIMAL_PRECISION and 0 <= scale <= precision:
            decimal = f"decimal({precision},{scale})"
            return ColumnType(postgres, decimal, pa.decimal128(precision, scale), Form.DECIMAL)
    base = _MODIFIER.sub("", postgres)
    if base in _PLAIN:
        spark, arrow, form = _PLAIN[base]
        return ColumnType(postgres, spark, arrow, form)
    if base in _TEXT:
        return ColumnType(postgres, "string", pa.string(), Form.TEXT)
    raise UnsupportedTypeError(
        f"type {postgres} has no lossless Iceberg type",
        remedy="exclude the column from the publication, or store it as text in the source",
    )
