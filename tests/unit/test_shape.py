"""Rows take the shape of the Iceberg table, without loss and without inventing values."""

import pyarrow as pa
import pytest

from streaming.shape import shaped

IMAGE = pa.struct([("id", pa.int64()), ("n", pa.int32())])


def test_columns_by_name_in_the_table_s_order():
    rows = pa.table({"b": ["x"], "a": pa.array([1], pa.int32()), "gone": [0]})
    schema = pa.schema([("a", pa.int64()), ("dropped", pa.date32()), ("b", pa.string())])
    assert shaped(rows, schema) == pa.table({"a": [1], "dropped": pa.array([None], pa.date32()), "b": ["x"]})


@pytest.mark.parametrize(
    ("values", "kind"),
    [(pa.array([1 << 40]), pa.int32()), (pa.array(["1.25"]).cast(pa.decimal128(5, 2)), pa.decimal128(4, 1))],
)
def test_what_does_not_fit_is_refused(values, kind):
    with pytest.raises(pa.ArrowInvalid):
        shaped(pa.table({"a": values}), pa.schema([("a", kind)]))


def test_struct_fields_by_name_and_null_structs_stay_null():
    old = pa.struct([("n", pa.int16()), ("id", pa.int64())])
    rows = pa.table({"after": pa.array([{"n": 3, "id": 1}, None, {"n": None, "id": 2}], old)})
    wide = pa.struct([*IMAGE, ("new", pa.string())])
    assert shaped(rows, pa.schema([("after", wide)]))["after"].to_pylist() == [
        {"id": 1, "n": 3, "new": None},
        None,
        {"id": 2, "n": None, "new": None},
    ]


def test_values_below_a_null_struct_do_not_come_back():
    ids = pa.array([1, 2])
    masked = pa.StructArray.from_arrays(
        [ids, pa.array([7, 8], pa.int32())], fields=list(IMAGE), mask=pa.array([True, False])
    )
    assert shaped(pa.table({"v": masked}), pa.schema([("v", IMAGE)]))["v"].to_pylist() == [None, {"id": 2, "n": 8}]


def test_several_chunks_and_no_rows():
    whole = pa.chunked_array([pa.array([{"id": 1, "n": 2}], IMAGE), pa.array([None], IMAGE)])
    assert shaped(pa.table({"v": whole}), pa.schema([("v", IMAGE)]))["v"].to_pylist() == [{"id": 1, "n": 2}, None]
    empty = pa.table({"v": pa.array([], IMAGE)})
    assert shaped(empty, pa.schema([("v", IMAGE), ("w", pa.int32())])).num_rows == 0
