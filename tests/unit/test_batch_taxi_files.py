"""What a TLC file's footer and values become: names, checked casts, exact row numbers. Pure."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as parquet
import pytest
import sqlglot

from batch.landing import Landed
from batch.taxi.columns import COLUMNS, match
from batch.taxi.splitting import TRANSFORM
from batch.taxi.tlc_file import read_footer, typed_batch
from batch.taxi.values import checked, rounded
from catalog.errors import BatchError
from catalog.settings import SAMPLE
from catalog.tables.nyc_taxi import TRIPS

WHOLE, DOLLARS, TIME = pa.int32(), pa.decimal128(10, 2), pa.timestamp("us")
SCHEMA = parquet.read_schema(SAMPLE / "tlc" / "yellow_tripdata_2019-01.parquet")


def test_every_column_of_the_sample_is_known_and_told_by_the_table():
    found = match("sample", SCHEMA)
    assert found.unknown == () and set(found.names) <= {column.name for column in COLUMNS}
    types = {column.type for column in TRIPS.columns}
    assert {column.in_spark.split(" ", 1)[1] for column in COLUMNS} <= types


def test_names_are_found_whatever_their_case_and_unknown_ones_are_told():
    schema = SCHEMA.append(pa.field("Airport_fee", pa.float64())).append(pa.field("robotaxi", pa.bool_()))
    found = match("f", schema)
    assert found.names["airport_fee"] == "Airport_fee" and found.unknown == ("robotaxi",)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (SCHEMA.remove(SCHEMA.get_field_index("fare_amount")), "lacks fare_amount"),
        (SCHEMA.append(pa.field("vendorid", pa.int64())), "holds VendorID and vendorid"),
        (SCHEMA.set(1, pa.field(SCHEMA.names[1], pa.timestamp("us", "UTC"))), "tz=UTC"),
        (SCHEMA.set(0, pa.field("VendorID", pa.bool_())), "VendorID is bool"),
    ],
)
def test_a_schema_that_cannot_be_read_is_refused(schema, told):
    with pytest.raises(BatchError, match=told):
        match("f", schema)


@pytest.mark.parametrize(
    ("values", "wanted", "read", "unfit"),
    [
        (pa.array([1, None, 2**31]), WHOLE, [1, None, None], [2]),
        (pa.array([1.0, 1.5, None, np.nan, np.inf, -2e9]), WHOLE, [1, None, None, None, None, -(2 * 10**9)], [1, 3, 4]),
        (pa.array([6, None], pa.uint8()), WHOLE, [6, None], []),
        (pa.array(["2", "two", None, "2.5"]), WHOLE, [2, None, None, None], [1, 3]),
        (pa.array(["2", None]).dictionary_encode(), WHOLE, [2, None], []),
        (pa.nulls(2), DOLLARS, [None, None], []),
        (pa.array([0.29, -52.0, 1e8, None]), DOLLARS, [Decimal("0.29"), Decimal("-52.00"), None, None], [2]),
        (pa.array([99_999_999.99, 99_999_999.996]), DOLLARS, [Decimal("99999999.99"), None], [1]),
        (pa.array([Decimal("1.2345")]), DOLLARS, [Decimal("1.23")], []),
        (pa.array([7, 2**40]), DOLLARS, [Decimal("7.00"), None], [1]),
        (pa.array(["Y", None]), pa.string(), ["Y", None], []),
    ],
)  # fmt: skip
def test_a_value_is_read_exactly_or_told_to_be_unfit(values, wanted, read, unfit):
    found, mask = checked(values, wanted)
    assert found.type == wanted and found.to_pylist() == read
    assert np.flatnonzero(mask).tolist() == unfit


def test_times_of_any_unit_or_text_are_local_times():
    seconds = pa.array([1_546_300_800, None], pa.timestamp("s"))
    for values in (seconds, seconds.cast(pa.timestamp("ns")), pa.array(["2019-01-01 00:00:00", None])):
        found, mask = checked(values, TIME)
        assert [str(value) for value in found.to_pylist()] == ["2019-01-01 00:00:00", "None"] and not mask.any()
    for wrong in (pa.array(["2019-13-01"]), pa.array(["2019-01-01T00:00:00Z"]), pa.array([2**60], pa.timestamp("ms"))):
        found, mask = checked(wrong, TIME)
        assert found.to_pylist() == [None] and mask.tolist() == [True]


def test_more_than_two_decimals_are_told():
    assert rounded(pa.array([1.25, 0.1 + 0.2, 10.123, None])).tolist() == [False, False, True, False]


def test_a_batch_is_numbered_from_its_place_and_names_its_unfit_columns():
    trips = parquet.read_table(SAMPLE / "tlc" / "yellow_tripdata_2019-01.parquet").slice(0, 3).combine_chunks()
    trips = trips.set_column(3, "passenger_count", pa.array([1.0, 1.5, None])).drop_columns(["extra"])
    batch = typed_batch(trips.to_batches()[0], 700, match("f", trips.schema).names)
    assert batch.column("row").to_pylist() == [700, 701, 702]
    assert batch.column("unreadable").to_pylist() == [[], ["passenger_count"], []]
    assert batch.column("extra").null_count == batch.column("airport_fee").null_count == 3
    assert batch.schema.names == ["row", *(column.name for column in COLUMNS), "unreadable", "rounded"]


def test_a_footer_tells_rows_by_row_group(tmp_path):
    path = tmp_path / "yellow_tripdata_2019-01.parquet"
    parquet.write_table(parquet.read_table(SAMPLE / "tlc" / path.name), path, row_group_size=3_000)
    landed = Landed(str(path), path.name, "", path.stat().st_size, "origin", "")
    file = read_footer(pyarrow.fs.LocalFileSystem(), landed)
    assert file.groups == (3000, 3000, 3000, 1000) and file.rows == 10_000


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "no Parquet file"), (b"<html>busy</html>", "begins with b'<html>"), (b"PAR1" + b"x" * 100, "cut off")],
)
def test_bytes_that_are_no_parquet_are_named(tmp_path, content, told):
    path = tmp_path / "yellow_tripdata_2019-01.parquet"
    path.write_bytes(content)
    with pytest.raises(BatchError, match=told):
        read_footer(pyarrow.fs.LocalFileSystem(), Landed(str(path), path.name, "", len(content), "origin", ""))


def test_the_transform_ends_in_the_tables_columns_and_the_reason():
    last = sqlglot.parse_one(TRANSFORM.read_text(), dialect="spark")
    assert last.named_selects == [*TRIPS.column_names, "reason"]
