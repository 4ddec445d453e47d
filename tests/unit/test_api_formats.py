"""Formats: what Accept asks for, and what rows look like in each."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.api.formats import Format, encode, negotiate
from serving.api.problems import ProblemError

TABLE = pa.table(
    {
        "id": pa.array([1, None], pa.int64()),
        "fare": pa.array([Decimal("12.50"), None], pa.decimal128(10, 2)),
        "at": pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "day": pa.array([date(2026, 1, 31), None]),
        "zone": pa.array(["=SUM(A1)", 'Queens, "old"\nnew']),
        "flags": pa.array([["odd"], []], pa.list_(pa.string())),
        "raw": pa.array([b"\x00\xff", None]),
        "score": pa.array([float("nan"), 0.5]),
    }
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, Format.JSON),
        ("*/*", Format.JSON),
        ("text/*", Format.CSV),
        ("text/csv, application/json;q=0.5", Format.CSV),
        ("application/*;q=0.3, text/csv;q=0.2", Format.JSON),
        ("application/json;q=0, */*", Format.CSV),
        ("text/html, application/vnd.apache.parquet;q=0.1", Format.PARQUET),
        ("APPLICATION/VND.APACHE.ARROW.STREAM", Format.ARROW),
    ],
)
def test_accept_chooses_the_format(accept, chosen):
    assert negotiate(accept) is chosen


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "text/csv;q=no", "x", ", ,;q=", "image/*;q=1"])
def test_what_cannot_be_given_is_refused(accept):
    with pytest.raises(ProblemError) as refused:
        negotiate(accept)
    assert refused.value.name == "not-acceptable"


def test_json_keeps_digits_and_says_utc():
    text = encode(TABLE, Format.JSON)
    assert b'"fare":12.50' in text
    first, second = json.loads(text)
    assert first["at"] == "2026-01-31T12:00:00Z"
    assert (first["day"], first["flags"], first["raw"], first["score"]) == ("2026-01-31", ["odd"], "AP8=", None)
    assert second["zone"] == 'Queens, "old"\nnew'
    assert second["fare"] is None


def test_csv_is_quoted_and_harmless_in_a_spreadsheet():
    header, first, second = csv.reader(io.StringIO(encode(TABLE, Format.CSV).decode()))
    assert header == TABLE.column_names
    named = dict(zip(header, first, strict=True))
    assert (named["zone"], named["fare"], named["flags"]) == ("'=SUM(A1)", "12.50", '["odd"]')
    assert second[header.index("zone")] == 'Queens, "old"\nnew'


def test_arrow_and_parquet_hold_the_same_values():
    arrow = pa.ipc.open_stream(encode(TABLE, Format.ARROW)).read_all()
    parquet = pq.read_table(io.BytesIO(encode(TABLE, Format.PARQUET)))
    wanted = TABLE.drop_columns(["score"])
    assert arrow.drop_columns(["score"]).equals(wanted)
    assert parquet.drop_columns(["score"]).equals(wanted)


def test_a_table_without_rows_keeps_its_columns():
    empty = TABLE.slice(0, 0)
    assert encode(empty, Format.JSON) == b"[]"
    assert encode(empty, Format.CSV).decode().strip().replace('"', "") == ",".join(TABLE.column_names)
    assert pa.ipc.open_stream(encode(empty, Format.ARROW)).read_all().schema.equals(TABLE.schema)
