"""Numbers and times with their edge values, held to the last digit."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

from conformance.typed import same, typed

NINES = "9" * 38


def naive(text: str) -> tuple[str, datetime]:
    """A timestamp without a zone."""
    return f"'{text}'", datetime.fromisoformat(text)


def instant(text: str) -> tuple[str, datetime]:
    """A timestamp with a zone, held as the instant."""
    return f"'{text}'", datetime.fromisoformat(text).astimezone(UTC)


NUMBERS = typed(
    "numbers",
    {
        "i2": ("smallint", [("-32768", -32768), ("32767", 32767), ("0", 0)]),
        "i4": ("integer", [("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)]),
        "i8": (
            "bigint",
            [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1), ("9007199254740993", 2**53 + 1)],
        ),
        "f4": (
            "real",
            [
                ("'NaN'", math.nan),
                ("'Infinity'", math.inf),
                ("'-Infinity'", -math.inf),
                ("0.1", 0.10000000149011612),
                ("1e-45", 1.401298464324817e-45),
                ("3.4028235e38", 3.4028234663852886e38),
            ],
        ),
        "f8": (
            "double precision",
            [
                ("'NaN'", math.nan),
                ("'Infinity'", math.inf),
                ("'-Infinity'", -math.inf),
                ("0.1", 0.1),
                ("5e-324", 5e-324),
                ("1.7976931348623157e308", 1.7976931348623157e308),
                ("-0.0", -0.0),
            ],
        ),
        "n102": (
            "numeric(10,2)",
            [("99999999.99", Decimal("99999999.99")), ("-0.01", Decimal("-0.01")), ("0", Decimal("0.00"))],
        ),
        "n380": ("numeric(38,0)", [(NINES, Decimal(NINES)), (f"-{NINES}", Decimal(f"-{NINES}"))]),
        "n3838": ("numeric(38,38)", [(f"0.{NINES}", Decimal(f"0.{NINES}")), ("1e-38", Decimal("1e-38"))]),
        "wide": (
            "numeric(50,10)",
            [("1234567890123456789012345678901234567890.0123456789",) * 2, ("1", "1.0000000000")],
        ),
        "negative": ("numeric(5,-2)", [("12345", "12300"), ("-9999900", "-9999900")]),
        "loose": (
            "numeric",
            [
                ("'NaN'", "NaN"),
                ("'Infinity'", "Infinity"),
                ("'-Infinity'", "-Infinity"),
                ("1e-20", "0.00000000000000000001"),
                ("1e40", "1" + "0" * 40),
                ("12.50", "12.50"),
                ("-0.000", "0.000"),
                (f"{NINES}.{NINES}",) * 2,
                ("0", "0"),
            ],
        ),
        "cash": (
            "money",
            [("'-92233720368547758.08'", Decimal("-92233720368547758.08")), ("'12.30'", Decimal("12.30"))],
        ),
        "yes": ("boolean", [("true", True), ("false", False)]),
    },
)

TIMES = typed(
    "times",
    {
        "d": (
            "date",
            [
                ("'0001-01-01'", date(1, 1, 1)),
                ("'9999-12-31'", date(9999, 12, 31)),
                ("'2024-02-29'", date(2024, 2, 29)),
                ("'1582-10-10'", date(1582, 10, 10)),
            ],
        ),
        "t": ("time", [*same("00:00:00", "23:59:59.999999", "12:34:56.1"), ("'23:59:59.9'", "23:59:59.9")]),
        "t0": ("time(0)", same("23:59:59", "00:00:01")),
        "ts": (
            "timestamp",
            [
                naive("0001-01-01T00:00:00"),
                naive("9999-12-31T23:59:59.999999"),
                naive("1969-12-31T23:59:59.999999"),
                naive("2026-03-08T02:30:00"),
                naive("2026-11-01T01:30:00.000001"),
            ],
        ),
        "ts3": ("timestamp(3)", [("'2026-01-01 00:00:00.1235'", datetime(2026, 1, 1, 0, 0, 0, 124_000))]),
        "tz": (
            "timestamptz",
            [
                instant("0001-01-01T00:00:00+00:00"),
                instant("9999-12-31T23:59:59.999999+00:00"),
                instant("1883-11-18T12:03:57-04:56"),
                instant("2026-11-01T01:30:00-04:00"),
                instant("2026-11-01T01:30:00-05:00"),
            ],
        ),
        "iv": (
            "interval",
            [
                ("'1 year 2 months 3 days 04:05:06.5'", "P1Y2M3DT4H5M6.5S"),
                ("'0'", "PT0S"),
                ("'-1 day 23 hours'", "P-1DT23H"),
                ("'-00:00:01.500001'", "PT-1.500001S"),
                ("'178000000 years -3 mons'", "P177999999Y9M"),
                ("'1 month -1 day'", "P1M-1D"),
                ("'30 days'", "P30D"),
                ("'720 hours'", "PT720H"),
                ("'0.000001 s'", "PT0.000001S"),
            ],
        ),
    },
)
