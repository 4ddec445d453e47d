"""Texts, bytes, addresses, ranges and arrays with their edge values, held to the last character."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

from conformance.typed import NULL, same, typed

LONG = "é😀" * 20_000 + "x" * 2_000_000

TEXTS = typed(
    "texts",
    {
        "t": (
            "text",
            [
                *same("", " ", "a\tb\nc\\d\"e'f,g", "😀 naïve 漢字 é", "\\u0000", "null", "__debezium"),
                ("repeat('é😀', 20000) || repeat('x', 2000000)", LONG),
            ],
        ),
        "v": ("varchar(5)", same("", "ab   ", "漢字漢字漢")),
        "c": ("char(5)", [("'ab'", "ab   "), ("''", "     ")]),
        "ci": ("citext", same("MiXed", "mixed")),
        "path": ("ltree", same("Top.Science.Astronomy")),
        "js": ("json", same('{"b": 1,  "a": 2, "b": 3}', "null", '"x"', "12345678901234567890.10")),
        "jsb": (
            "jsonb",
            [
                (
                    '\'{"b": 1,  "a": [1.0, null], "b": 12345678901234567890123}\'',
                    '{"a": [1.0, null], "b": 12345678901234567890123}',
                ),
                *same("null", "[]", '"\\u0001😀"'),
                ("to_jsonb(repeat('y', 2000000))", '"' + "y" * 2_000_000 + '"'),
            ],
        ),
        "x": ("xml", same('<a b="c">é &amp; 😀</a>')),
        "u": (
            "uuid",
            [
                ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                *same("00000000-0000-0000-0000-000000000000"),
            ],
        ),
        "mood": ("@schema.mood", [*same("sad", 'so-so, "quoted"'), NULL]),
        "ts": ("tsvector", same("'cat':3 'fat':2A,4B 'it''s':1")),
        "few": ("@schema.few", same("ab", "漢字")),
        "mail": ("@schema.mail", same("a@b.c")),
    },
    "create extension if not exists citext",
    "create extension if not exists ltree",
    "create type @schema.mood as enum ('sad', 'so-so, \"quoted\"')",
    "create domain @schema.few as varchar(3)",
    "create domain @schema.mail as @schema.few check (value like '%@%')".replace("@schema.few", "text"),
)

OTHERS = typed(
    "bytes, addresses and ranges",
    {
        "b": (
            "bytea",
            [
                ("'\\x'", b""),
                ("'\\x00ff5c27'", b"\x00\xff\\'"),
                ("decode(repeat('00ff', 500000), 'hex')", b"\x00\xff" * 500_000),
            ],
        ),
        "i": ("inet", same("10.1.2.3", "10.1.2.0/24", "::1", "2001:db8::/32")),
        "n": ("cidr", same("10.1.2.0/24", "::/0")),
        "m": ("macaddr", same("08:00:2b:01:02:03")),
        "m8": ("macaddr8", same("08:00:2b:01:02:03:04:05")),
        "r4": ("int4range", [("'[1,4]'", "[1,5)"), *same("empty", "(,)", "[1,)")]),
        "r8": ("int8range", same("[-9223372036854775808,5)")),
        "rn": ("numrange", same("[1.50,2.250)", "(,1e)".replace("1e", "1"))),
        "rd": ("daterange", same("[2026-01-01,2026-02-01)", "[2026-01-01,infinity)")),
        "rts": ("tsrange", same('["2026-01-01 00:00:00","2026-01-01 00:00:00.5"]')),
        "rtz": ("tstzrange", [("'[2026-01-01 00:00+02,)'", '["2025-12-31 22:00:00+00",)')]),
        "b1": ("bit(1)", [("B'1'", "1"), ("B'0'", "0")]),
        "b10": ("bit(10)", [("B'0000000101'", "0000000101"), ("B'1000000001'", "1000000001")]),
    },
)

ARRAYS = typed(
    "arrays",
    {
        "i2": ("smallint[]", [("'{}'", []), ("'{1,NULL,-3}'", [1, None, -3])]),
        "i4": ("int[]", [("'{}'", []), ("'{NULL}'", [None]), ("'{1,2}'", [1, 2])]),
        "i8": ("bigint[]", [("'{9007199254740993,NULL}'", [2**53 + 1, None])]),
        "f4": ("real[]", [("'{NaN,0.5}'", [math.nan, 0.5])]),
        "f8": ("float8[]", [("'{Infinity,0.1,NULL}'", [math.inf, 0.1, None])]),
        "n": ("numeric(6,2)[]", [("'{1.5,NULL,-9999.99}'", [Decimal("1.50"), None, Decimal("-9999.99")])]),
        "loose": ("numeric[]", [("'{1.50,NULL,1e20}'", ["1.50", None, "1" + "0" * 20])]),
        "yes": ("boolean[]", [("'{t,f,NULL}'", [True, False, None])]),
        "t": (
            "text[]",
            [
                ("'{}'", []),
                (
                    "array['', 'NULL', null, 'a,b', '{', '😀', E'\\\\', 'q\"q']",
                    ["", "NULL", None, "a,b", "{", "😀", "\\", 'q"q'],
                ),
            ],
        ),
        "v": ("varchar(3)[]", [("'{a,NULL}'", ["a", None])]),
        "c": ("char(3)[]", [("'{a}'", ["a  "])]),
        "u": ("uuid[]", [("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"])]),
        "d": ("date[]", [("'{2026-02-03,NULL}'", [date(2026, 2, 3), None])]),
        "ts": ("timestamp[]", [("'{\"2026-02-03 04:05:06.5\"}'", [datetime(2026, 2, 3, 4, 5, 6, 500_000)])]),
        "tz": ("timestamptz[]", [("'{\"2026-02-03 04:05:06+02\"}'", [datetime(2026, 2, 3, 2, 5, 6, tzinfo=UTC)])]),
        "tm": ("time[]", [("'{12:00:00.5}'", ["12:00:00.5"])]),
        "js": ("json[]", [("array['{\"a\":  1}'::json]", ['{"a":  1}'])]),
        "jsb": ("jsonb[]", [("array['{\"a\": 1}'::jsonb, 'null']", ['{"a": 1}', "null"])]),
        "b": ("bytea[]", [("array['\\x00ff'::bytea]", [b"\x00\xff"])]),
        "i": ("inet[]", [("'{10.1.2.3}'", ["10.1.2.3"])]),
        "m": ("macaddr[]", [("'{08:00:2b:01:02:03}'", ["08:00:2b:01:02:03"])]),
        "r": ("int4range[]", [("array[int4range(1,5)]", ["[1,5)"])]),
        "mood": ("@schema.feeling[]", [("'{ok,ok}'", ["ok", "ok"])]),
    },
    "create type @schema.feeling as enum ('ok')",
)
