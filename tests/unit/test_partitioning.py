"""Rows by partition: as Iceberg's own transforms say, nulls and times before 1970 included."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import parse_transform
from pyiceberg.types import DateType, IntegerType, NestedField, StringType, TimestamptzType

from catalog.errors import ConfigurationError, TableStoppedError
from catalog.partition import Partition
from catalog.types import column_type
from streaming.partitioning import NOTHING, partitions

SCHEMA = Schema(
    NestedField(1, "id", IntegerType()),
    NestedField(2, "at", TimestamptzType()),
    NestedField(3, "day", DateType()),
    NestedField(4, "zone", StringType()),
)
TIMES = (
    datetime(1969, 12, 31, 23, tzinfo=UTC),
    datetime(1970, 1, 31, tzinfo=UTC),
    datetime(2024, 2, 29, 7, tzinfo=UTC),
)
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int32()),
        "at": pa.array([*TIMES, None], pa.timestamp("us", "UTC")),
        "day": pa.array([*(each.date() for each in TIMES), None], pa.date32()),
        "zone": ["a/b=ü", None, "", "a/b=ü"],
    }
)


def divided(rows, *fields):
    spec = PartitionSpec(
        *(PartitionField(source, 1000 + n, parse_transform(how), f"p{n}") for n, (source, how) in enumerate(fields))
    )
    return {values: part["id"].to_pylist() for values, part in partitions(rows, spec, SCHEMA, "public.things")}


@pytest.mark.parametrize(
    ("source", "how", "expected"),
    [
        (2, "month", {("-1",): [1], ("0",): [2], ("649",): [3], (NOTHING,): [4]}),
        (2, "day", {("1969-12-31",): [1], ("1970-01-31",): [2], ("2024-02-29",): [3], (NOTHING,): [4]}),
        (2, "hour", {("-1",): [1], ("720",): [2], ("474775",): [3], (NOTHING,): [4]}),
        (3, "year", {("-1",): [1], ("0",): [2], ("54",): [3], (NOTHING,): [4]}),
        (3, "identity", {("1969-12-31",): [1], ("1970-01-31",): [2], ("2024-02-29",): [3], (NOTHING,): [4]}),
        (4, "identity", {("a/b=ü",): [1, 4], (NOTHING,): [2], ("",): [3]}),
        (1, "bucket[1]", {("0",): [1, 2, 3, 4]}),
    ],
)
def test_by_transform(source, how, expected):
    assert divided(ROWS, (source, how)) == expected


def test_by_two_columns():
    assert divided(ROWS, (4, "identity"), (1, "bucket[1]")) == {
        ("a/b=ü", "0"): [1, 4], (NOTHING, "0"): [2], ("", "0"): [3]
    }  # fmt: skip


def test_the_text_that_means_null_stops_the_table():
    with pytest.raises(TableStoppedError, match="cannot be told from null"):
        divided(ROWS.set_column(3, "zone", [[NOTHING] * 4]), (4, "identity"))


@pytest.mark.parametrize(
    ("text", "ddl"),
    [
        ("month(paid_at)", "months(`paid_at`)"),
        ("hours(at)", "hours(`at`)"),
        ("bucket(16, id)", "bucket(16, `id`)"),
        ("zone", "`zone`"),
    ],
)
def test_what_people_write_is_what_spark_takes(text, ddl):
    assert Partition.parse(text).ddl == ddl


@pytest.mark.parametrize("text", ["", "week(at)", "bucket(at)", "bucket(0, id)", "bucket(00, id)", "month()", "a, b"])
def test_what_is_no_partition(text):
    with pytest.raises(ConfigurationError, match="is none"):
        Partition.parse(text)


def test_each_transform_takes_its_types():
    suiting = {("day(c)", "date"), ("day(c)", "timestamp with time zone"), ("hour(c)", "timestamp without time zone")}
    suiting |= {
        ("c", "date"),
        ("c", "text"),
        ("c", "bigint"),
        ("bucket(9, c)", "numeric(8,2)"),
        ("bucket(9, c)", "uuid"),
    }
    not_suiting = {("hour(c)", "date"), ("month(c)", "text"), ("c", "timestamp with time zone"), ("c", "numeric(8,2)")}
    not_suiting |= {("bucket(9, c)", "double precision"), ("bucket(9, c)", "text[]"), ("c", "bytea")}
    for text, kind in suiting | not_suiting:
        assert Partition.parse(text).suits(column_type(kind)) == ((text, kind) in suiting), (text, kind)
