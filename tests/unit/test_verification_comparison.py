"""Each kind of difference between lake and source is found, counted once and shown with both values."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from catalog.verification.comparison import compare_rows

SCHEMA = pa.schema(
    [
        pa.field("trip_id", pa.int64(), nullable=False),
        pa.field("vendor", pa.string(), nullable=False),
        pa.field("fare", pa.decimal128(10, 2)),
        pa.field("at", pa.timestamp("us", "UTC")),
        pa.field("note", pa.string()),
        pa.field("ratio", pa.float64()),
        pa.field("tags", pa.list_(pa.int32())),
    ]
)
START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("trip_id", "vendor")


def rows(count=50):
    return [
        {
            "trip_id": n // 2,
            "vendor": "ab"[n % 2],
            "fare": Decimal(n) / 4 if n % 7 else None,
            "at": START + timedelta(microseconds=n),
            "note": None if n % 5 == 0 else "" if n % 5 == 1 else f"note {n}",
            "ratio": float("nan") if n % 3 == 0 else n / 3,
            "tags": None if n % 4 == 0 else [n, None],
        }
        for n in range(count)
    ]


def compared(lake, source, limit=20):
    return compare_rows(pa.Table.from_pylist(lake, SCHEMA), pa.Table.from_pylist(source, SCHEMA), KEY, limit)


def test_equal_rows_in_any_order():
    found = compared(rows()[::-1], rows())
    assert (found.source_rows, found.differing, found.differences) == (50, 0, ())


@pytest.mark.parametrize(
    ("column", "value", "lake", "source"),
    [
        ("fare", Decimal("4.51"), "4.51", "4.50"),
        ("fare", None, None, "4.50"),
        (
            "at",
            START + timedelta(microseconds=19),
            "2026-01-01T00:00:00.000019+00:00",
            "2026-01-01T00:00:00.000018+00:00",
        ),
        ("note", "", "", "note 18"),
        ("ratio", 6.0, 6.0, "nan"),
        ("tags", [18], [18], [18, None]),
    ],
)
def test_one_changed_value(column, value, lake, source):
    changed = rows()
    changed[18] |= {column: value}
    found = compared(changed, rows())
    assert found.differing == 1
    (difference,) = found.differences
    assert (difference.key, difference.kind) == ({"trip_id": 9, "vendor": "a"}, "changed")
    assert difference.columns == {column: (lake, source)}


def test_null_is_not_the_empty_string():
    changed = rows()
    changed[20] |= {"note": ""}
    changed[21] |= {"note": None}
    found = compared(changed, rows())
    assert [d.columns for d in found.differences] == [{"note": ("", None)}, {"note": (None, "")}]


def test_negative_zero_is_not_zero():
    one, other = rows(), rows()
    one[1] |= {"ratio": 0.0}
    other[1] |= {"ratio": -0.0}
    assert compared(one, other).differing == 1


def test_missing_extra_and_changed_rows_together():
    lake = rows()
    lake[40] |= {"note": "new"}
    lake.append(lake[5] | {"trip_id": 999})
    del lake[3]
    found = compared(lake, rows())
    assert found.differing == 3
    assert {(d.kind, d.key["trip_id"], d.key["vendor"]) for d in found.differences} == {
        ("missing", 1, "b"),
        ("extra", 999, "b"),
        ("changed", 20, "a"),
    }


def test_swapped_keys_show_both_rows():
    lake = rows()
    lake[10]["trip_id"], lake[20]["trip_id"] = lake[20]["trip_id"], lake[10]["trip_id"]
    found = compared(lake, rows())
    assert [d.key for d in found.differences] == [{"trip_id": 5, "vendor": "a"}, {"trip_id": 10, "vendor": "a"}]


def test_a_row_twice_in_the_lake():
    found = compared([*rows(), rows()[7]], rows())
    assert [(d.kind, d.key) for d in found.differences] == [("duplicate", {"trip_id": 3, "vendor": "b"})]


def test_a_row_twice_in_place_of_another():
    lake = rows()
    lake[8] = lake[7]
    assert sorted(d.kind for d in compared(lake, rows()).differences) == ["duplicate", "missing"]


@pytest.mark.parametrize(("lake", "source", "kind"), [([], rows(), "missing"), (rows(), [], "extra")])
def test_one_side_empty_counts_all_and_shows_the_first(lake, source, kind):
    found = compared(lake, source, limit=4)
    assert found.differing == 50
    assert [d.kind for d in found.differences] == [kind] * 4


def test_both_sides_empty():
    assert compared([], []).differing == 0
