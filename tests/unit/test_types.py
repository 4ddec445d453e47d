"""The whole table of types: every one without loss, or refused with what to do."""

import pyarrow as pa
import pytest

from catalog.errors import UnsupportedTypeError
from catalog.types import Form, column_type


@pytest.mark.parametrize(
    ("postgres", "spark", "arrow", "form"),
    [
        ("boolean", "boolean", pa.bool_(), Form.BOOLEAN),
        ("smallint", "int", pa.int32(), Form.INTEGER),
        ("integer", "int", pa.int32(), Form.INTEGER),
        ("bigint", "bigint", pa.int64(), Form.INTEGER),
        ("real", "float", pa.float32(), Form.FLOAT),
        ("double precision", "double", pa.float64(), Form.FLOAT),
        ("money", "decimal(19,2)", pa.decimal128(19, 2), Form.DECIMAL),
        ("numeric(10,2)", "decimal(10,2)", pa.decimal128(10, 2), Form.DECIMAL),
        ("numeric(38,38)", "decimal(38,38)", pa.decimal128(38, 38), Form.DECIMAL),
        ("numeric(39,2)", "string", pa.string(), Form.NUMERIC),
        ("numeric(5,-2)", "string", pa.string(), Form.NUMERIC),
        ("numeric(3,5)", "string", pa.string(), Form.NUMERIC),
        ("numeric", "string", pa.string(), Form.NUMERIC),
        ("text", "string", pa.string(), Form.TEXT),
        ("character varying(42)", "string", pa.string(), Form.TEXT),
        ("character(3)", "string", pa.string(), Form.TEXT),
        ("uuid", "string", pa.string(), Form.TEXT),
        ("jsonb", "string", pa.string(), Form.TEXT),
        ("tstzrange", "string", pa.string(), Form.TEXT),
        ("date", "date", pa.date32(), Form.DATE),
        ("time without time zone", "string", pa.string(), Form.TIME),
        ("time(3) without time zone", "string", pa.string(), Form.TIME),
        ("timestamp without time zone", "timestamp_ntz", pa.timestamp("us"), Form.TIMESTAMP),
        ("timestamp(0) with time zone", "timestamp", pa.timestamp("us", "UTC"), Form.INSTANT),
        ("bytea", "binary", pa.binary(), Form.BASE64),
        ("interval", "string", pa.string(), Form.INTERVAL),
        ("bit(3)", "string", pa.string(), Form.BITS),
        ("integer[]", "array<int>", pa.list_(pa.int32()), Form.LIST),
        ("numeric(4,1)[]", "array<decimal(4,1)>", pa.list_(pa.decimal128(4, 1)), Form.LIST),
    ],
)
def test_types(postgres, spark, arrow, form):
    found = column_type(postgres)
    assert (found.spark, found.arrow, found.form) == (spark, arrow, form)


@pytest.mark.parametrize("postgres", ["mood", "mood[]"])
def test_an_enum_is_text(postgres):
    kind = column_type(postgres, is_enum=True)
    assert (kind.element or kind).form is Form.TEXT


@pytest.mark.parametrize(
    "postgres",
    [
        "interval year to month",
        "time with time zone",
        "bit varying",
        "hstore",
        "tsquery",
        "name",
        "interval[]",
        "money[]",
        "geometry",
        "oid",
        '"char"',
        "mood",
        "point[]",
    ],
)
def test_types_that_would_lose_something_are_refused(postgres):
    with pytest.raises(UnsupportedTypeError, match="has no lossless Iceberg type") as refused:
        column_type(postgres)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("postgres", "sql"),
    [
        ("money", '"v"::numeric'),
        ("integer[]", 'array_to_json("v")'),
        ("json[]", 'array_to_json("v"::text[])'),
        ("uuid", '"v"'),
    ],
)
def test_how_a_value_is_copied_as_text(postgres, sql):
    assert column_type(postgres).copied_as('"v"') == sql
