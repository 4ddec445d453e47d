"""Conditions on a table's columns: names from its own schema, operators from a list, values always bound."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

from serving.api.problems import ProblemError
from serving.api.questions import quoted

COMPARED = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
UNVALUED = {"null": "is null", "known": "is not null"}
VALUED = (*COMPARED, "in")
MOST_VALUES = 100
FLOATING = ("float", "double")
_DUCKDB = {
    "boolean": "boolean",
    "int": "integer",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "string": "varchar",
    "uuid": "uuid",
    "binary": "blob",
}


def conditions(where: Sequence[str], columns: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The SQL of conditions that all hold, and its parameters. Raises ProblemError."""
    values: dict[str, Any] = {}

    def bound(kind: str, value: str) -> str:
        name = f"where_{len(values)}"
        values[name] = _read(kind, value)
        return f"cast(${name} as {kind})"

    return " and ".join(_condition(text, columns, bound) for text in where) or "true", values


def _condition(text: str, columns: Mapping[str, str], bound: Callable[[str, str], str]) -> str:
    column, operator, value = [*text.split(":", 2), "", ""][:3]
    known(column, columns)
    if operator in UNVALUED and not value:
        return f"{quoted(column)} {UNVALUED[operator]}"
    if operator not in VALUED:
        raise ProblemError(
            "invalid-request",
            f"where: {text[:200]!r} is neither `column:operator:value` with one of {', '.join(VALUED)}"
            f" nor `column:operator` with one of {', '.join(UNVALUED)}",
        )
    kind = orderable(column, columns)
    if operator == "in":
        wanted = value.split(",")
        if len(wanted) > MOST_VALUES:
            raise ProblemError("invalid-request", f"where: more than {MOST_VALUES} values")
        return f"{quoted(column)} in ({', '.join(bound(kind, each) for each in wanted)})"
    compared = f"{quoted(column)} {COMPARED[operator]} {bound(kind, value)}"
    # NaN is above all numbers, as it stands in an order
    return f"({compared} or isnan({quoted(column)}))" if kind in FLOATING and operator in ("gt", "ge") else compared


def _read(kind: str, value: str) -> Any:
    """The value to be bound: engines read times in different ways, so times are read here. Raises ProblemError."""
    try:
        if kind in FLOATING and value.strip(" +-").lower() == "nan":
            raise ValueError(value)
        return _TIMES[kind](value) if kind in _TIMES else value
    except (ValueError, OverflowError) as wrong:
        raise ProblemError("invalid-request", f"where: {value[:200]!r} is nothing that a {kind} is like") from wrong


def _in_utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


_TIMES: dict[str, Callable[[str], Any]] = {
    "date": lambda text: datetime.fromisoformat(text).date(),
    "time": lambda text: time.fromisoformat(text).replace(tzinfo=None),
    "timestamp": lambda text: _in_utc(text).replace(tzinfo=None),
    "timestamptz": _in_utc,
}


def known(column: str, columns: Mapping[str, str]) -> None:
    """Raise ProblemError for a column that the table has not."""
    if column not in columns:
        close = difflib.get_close_matches(column, columns, n=1)
        hint = f"did you mean {close[0]}?" if close else f"columns are {', '.join(columns)}"
        raise ProblemError("unknown-column", f"there is no column {column[:200]!r}; {hint}")


def orderable(column: str, columns: Mapping[str, str]) -> str:
    """DuckDB's type of a column that can be compared and ordered. Raises ProblemError for others."""
    known(column, columns)
    kind = columns[column]
    if kind.startswith("decimal("):
        return kind
    if kind not in _DUCKDB:
        raise ProblemError(
            "invalid-request", f"{column} is a {kind.split('<')[0]}, which cannot be compared or ordered"
        )
    return _DUCKDB[kind]
