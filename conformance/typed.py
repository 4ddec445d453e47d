"""A situation of values: a table with a column per type, its rows copied, and again streamed and updated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.situation import Row, Situation

Values = Sequence[tuple[str, Any]]
"""(SQL literal, what DuckDB must read)."""
NULL = ("null", None)
STREAMED = 100
"""Ids from here on come by the stream, those below by the copy."""


def typed(name: str, columns: Mapping[str, tuple[str, Values]], *first: str) -> Situation:
    """A table with these columns by name (type, values): one row per value, copied, and again streamed and updated."""
    count = max(len(values) for _, values in columns.values())
    padded = {column: [*values, *[NULL] * (count - len(values))] for column, (_, values) in columns.items()}
    places = range(count)

    def inserted(start: int) -> tuple[str, ...]:
        rows = (f"({start + n}, 0, {', '.join(values[n][0] for values in padded.values())})" for n in places)
        return tuple(f"insert into @table values {row}" for row in rows)

    def rows(start: int) -> list[Row]:
        return [(start + n, *(values[n][1] for values in padded.values())) for n in places]

    body = ", ".join(f"{column} {kind}" for column, (kind, _) in columns.items())
    return Situation(
        name,
        (
            *first,
            f"create table @table (id int primary key, touched int, {body})",
            "alter table @table replica identity full",
        ),
        before=inserted(1),
        steps=(*inserted(STREAMED), f"update @table set touched = 1 where id >= {STREAMED}"),
        select=f"id, {', '.join(columns)}",
        rows=(*rows(1), *rows(STREAMED)),
        ops="c" * count + "u" * count,
    )


def same(*texts: str) -> list[tuple[str, str]]:
    """Values that are held as the very text that is written."""
    return [("'" + text.replace("'", "''") + "'", text) for text in texts]
