"""Every Postgres type's JSON value becomes its exact Arrow value, or is refused."""

import base64
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from catalog.types import column_type
from streaming.values import PLACEHOLDER_FREE, UNCHANGED, BadValuesError, to_arrow

NOON = datetime(2026, 3, 1, 12, 0, 0, 5)


@pytest.mark.parametrize(
    ("postgres", "written", "held"),
    [
        ("boolean", True, True),
        ("smallint", -32768, -32768),
        ("bigint", -(2**63), -(2**63)),
        ("real", 0.5, 0.5),
        ("double precision", "-Infinity", -math.inf),
        ("double precision", 1e-300, 1e-300),
        ("numeric(5,2)", "-999.99", Decimal("-999.99")),
        ("numeric(38,0)", "9" * 38, Decimal("9" * 38)),
        ("numeric(40,2)", "1234567890123456789012345678901234567890.10", "1234567890123456789012345678901234567890.10"),
        ("numeric", "NAN", "NaN"),
        ("numeric", "NEGATIVE_INFINITY", "-Infinity"),
        ("numeric", "1.50E-7", "0.000000150"),
        ("numeric", "-12.50", "-12.50"),
        ("numeric(5,-2)", "12300.000", "12300"),
        ("interval", "P1Y2M3DT4H5M6.5S", "P1Y2M3DT4H5M6.5S"),
        ("interval", "P0Y0M-1DT0H10M0S", "P-1DT10M"),
        ("interval", "P0Y0M0DT0H0M0S", "PT0S"),
        ("interval", "P0Y20M0DT0H0M-0.5S", "P20MT-0.5S"),
        ("bit(1)", True, "1"),
        ("bit(10)", "AQI=", "1000000001"),
        ("money", "12.30", Decimal("12.30")),
        ("text", "a\x00b\U0001f600", "a\x00b\U0001f600"),
        ("uuid", "6fa459ea-ee8a-3ca4-894e-db77e160355e", "6fa459ea-ee8a-3ca4-894e-db77e160355e"),
        ("date", "2026-02-03Z", date(2026, 2, 3)),
        ("date", "0001-01-01Z", date(1, 1, 1)),
        ("time without time zone", "12:00:00.500000Z", "12:00:00.5"),
        ("time without time zone", "12:00:00Z", "12:00:00"),
        ("timestamp without time zone", "2026-03-01T12:00:00.000005Z", NOON),
        ("timestamp with time zone", "2026-03-01T12:00:00.000005Z", NOON.replace(tzinfo=UTC)),
        ("timestamp with time zone", "9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
        ("bytea", "AAEC", b"\x00\x01\x02"),
        ("integer[]", [1, None, 3], [1, None, 3]),
        ("text[]", [], []),
        ("timestamp without time zone[]", ["2026-03-01T12:00:00.000005Z"], [NOON]),
    ],
)
def test_exact_values(postgres, written, held):
    kind = column_type(postgres)
    array, unchanged = to_arrow([written, None], "v", kind)
    assert array.type == kind.arrow
    assert array.to_pylist() == [held, None]
    assert unchanged is PLACEHOLDER_FREE


@pytest.mark.parametrize(
    ("postgres", "written"),
    [
        ("boolean", 1),
        ("boolean", "true"),
        ("integer", 1 << 31),
        ("integer", 1.0),
        ("integer", True),
        ("integer", "1"),
        ("bigint", 1 << 63),
        ("real", "x"),
        ("real", 1e39),
        ("double precision", True),
        ("numeric(5,2)", "1000.00"),
        ("numeric(5,2)", "1.234"),
        ("numeric(5,2)", "NAN"),
        ("numeric(5,2)", "INFINITY"),
        ("numeric(5,2)", 1.5),
        ("text", 5),
        ("jsonb", {"a": 1}),
        ("date", "infinity"),
        ("date", "-0043-03-15Z"),
        ("date", 20000),
        ("time without time zone", 5),
        ("timestamp without time zone", "-infinity"),
        ("timestamp without time zone", 5),
        ("timestamp with time zone", "+10000-01-01T00:00:00Z"),
        ("timestamp with time zone", "2026-03-01T12:00:00"),
        ("numeric", "many"),
        ("numeric(5,-2)", "12300.001"),
        ("interval", "1 day"),
        ("bit(3)", "CA=="),
        ("bytea", "!"),
        ("bytea", 5),
        ("integer[]", [[1], [2]]),
        ("text[]", "abc"),
        ("text[]", {"a": 1}),
        ("text[]", ["a", 5]),
    ],
)
def test_values_that_do_not_fit_are_named_by_row(postgres, written):
    with pytest.raises(BadValuesError) as raised:
        to_arrow([None, written, None, written], "v", column_type(postgres))
    assert list(raised.value.reasons) == [1, 3]
    assert raised.value.column == "v"
    assert raised.value.reasons[1].startswith(f"column v: {written!r} does not fit {postgres}")


def test_nan_stays_nan():
    (value,) = to_arrow(["NaN"], "v", column_type("real"))[0].to_pylist()
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("postgres", "sign", "other"),
    [
        ("text", UNCHANGED, UNCHANGED + " "),
        ("jsonb", UNCHANGED, "null"),
        ("numeric", UNCHANGED, "1"),
        ("bytea", base64.b64encode(UNCHANGED.encode()).decode(), "AAEC"),
        ("text[]", [UNCHANGED], [UNCHANGED, UNCHANGED]),
    ],
)
def test_a_value_left_out_is_marked_and_null(postgres, sign, other):
    array, unchanged = to_arrow([sign, other, None], "v", column_type(postgres))
    assert np.array_equal(unchanged, [True, False, False])
    assert array[0].as_py() is None
    assert array[1].as_py() is not None


def test_long_values_are_shortened_in_reasons():
    with pytest.raises(BadValuesError) as raised:
        to_arrow(["x" * 10_000], "v", column_type("integer"))
    assert len(raised.value.reasons[0]) < 200
