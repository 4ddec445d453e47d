"""The forms in which rows are given: JSON, CSV, Arrow and Parquet, chosen by the request's Accept header."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from serving.api.problems import ProblemError


class Format(StrEnum):
    """Each by its media type; the first is given where all are welcome."""

    JSON = "application/json"
    CSV = "text/csv"
    ARROW = "application/vnd.apache.arrow.stream"
    PARQUET = "application/vnd.apache.parquet"


def negotiate(accept: str | None) -> Format:
    """The format that an Accept header asks for (RFC 9110, 12.5.1). Raises ProblemError when it takes none of ours."""
    ranges = [_media_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    ranked = [(_quality(choice, ranges), -place, choice) for place, choice in enumerate(Format)]
    quality, _, chosen = max(ranked)
    if quality <= 0:
        raise ProblemError("not-acceptable", f"accept one of {', '.join(Format)}")
    return chosen


def _media_range(text: str) -> tuple[str, float]:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return media, min(1.0, max(0.0, float(value)))
            except ValueError:
                return media, 0.0
    return media, 1.0


def _quality(choice: Format, ranges: list[tuple[str, float]]) -> float:
    """The quality of the most specific range that the choice falls in; 0 where it falls in none."""
    for candidate in (choice.value, f"{choice.value.split('/')[0]}/*", "*/*"):
        for media, quality in ranges:
            if media == candidate:
                return quality
    return 0.0


def encode(rows: pa.Table, form: Format) -> bytes:
    """Rows in a format; JSON is the bare list of rows."""
    return _ENCODERS[form](rows)


def json_bytes(value: Any) -> bytes:
    """JSON of rows and of what is said about them: times in UTC with Z, decimals as numbers with all their digits."""
    return orjson.dumps(value, default=_json_value, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)


def _json(rows: pa.Table) -> bytes:
    return json_bytes(rows.to_pylist())


def _csv(rows: pa.Table) -> bytes:
    """Lists, structs and bytes stand in their cells as JSON; a cell that a spreadsheet would compute is quoted by '."""
    columns = {name: _cells(rows.column(name)) for name in rows.column_names}
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns), sink)
    return sink.getvalue()


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return pa.array([None if v is None else json_bytes(v).decode() for v in column.to_pylist()], pa.string())
    if pa.types.is_string(column.type):
        return pa.array([_harmless(text) for text in column.to_pylist()], pa.string())
    return column


def _harmless(text: str | None) -> str | None:
    """Formula injection: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{text}" if text and text[0] in "=+-@\t\r" else text


def _arrow(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def _parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(rows, sink, compression="zstd")
    return sink.getvalue()


_ENCODERS: dict[Format, Callable[[pa.Table], bytes]] = {
    Format.JSON: _json,
    Format.CSV: _csv,
    Format.ARROW: _arrow,
    Format.PARQUET: _parquet,
}
