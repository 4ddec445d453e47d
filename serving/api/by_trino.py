"""Trino, where the settings name it: the same questions, translated from DuckDB's SQL to Trino's.

A view is a query before the question's own, since Trino only reads here. Where rows lie is told by Iceberg's row ids,
or, in tables of format 2, which have none, by the rows' rank in an order of all columns: equal rows may then change
places, which nobody can see. Trino knows names in lower case only, so columns of one name but for its case are refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import requests
from sqlglot import ErrorLevel, exp, parse_one
from trino.exceptions import Error, TrinoExternalError, TrinoQueryError

from catalog.errors import ComponentError
from catalog.settings import CATALOG, Settings
from catalog.trino import fetch, trino_connection
from serving.api.heads import Head
from serving.api.problems import ProblemError, query_limit
from serving.api.questions import FILE, ROW, empty_view, quoted

if TYPE_CHECKING:
    import pyarrow as pa

_MARK = f"bound_{secrets.token_hex(8)}_"
"""Begins a parameter's name while SQL is translated; no text of a request can hold it."""
_MICROSECONDS = (exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ)
_UNORDERED = ("map<", "variant", "geometry", "geography")
_LIMITS = (
    "EXCEEDED_TIME_LIMIT", "EXCEEDED_CPU_LIMIT", "EXCEEDED_LOCAL_MEMORY_LIMIT", "EXCEEDED_GLOBAL_MEMORY_LIMIT",
    "EXCEEDED_SCAN_LIMIT", "CLUSTER_OUT_OF_MEMORY", "QUERY_QUEUE_FULL",
)  # fmt: skip
_MISFITS = ("INVALID_CAST_ARGUMENT", "INVALID_LITERAL", "NUMERIC_VALUE_OUT_OF_RANGE", "INVALID_FUNCTION_ARGUMENT")
_BEYOND = ("AMBIGUOUS_NAME", "NOT_SUPPORTED", "TYPE_MISMATCH", "TYPE_NOT_FOUND", "COLUMN_NOT_FOUND")
_GONE = ("TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND")


class Trino:
    """Each query has a connection of its own, which is nothing but a name, and a time limit that Trino keeps."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self) -> None:
        """Ask something, so that a Trino that has just come up has read its first query. Raises ComponentError."""
        self.run("select 1 as one", {}, {}, False)

    def run(self, query: str, parameters: Mapping[str, Any], views: Mapping[str, Head], places: bool) -> pa.Table:
        """The rows of a query over these views. Raises ProblemError, ComponentError."""
        text, names = translated(query)
        pinned = [f"{quoted(view)} as ({_pinned(head, places)})" for view, head in views.items()]
        statement = f"with {', '.join(pinned)} {text}" if pinned else text
        try:
            with trino_connection(self._settings, self._settings.api_query_seconds) as connection:
                return fetch(connection, statement, [parameters[name] for name in names])
        except TrinoQueryError as refused:
            raise self._explained(refused) from refused
        except (Error, requests.RequestException) as away:
            raise ComponentError(
                f"Trino does not answer at {self._settings.trino}", remedy="lake status; lake up --with trino"
            ) from away

    def _explained(self, refused: TrinoQueryError) -> Exception:
        """What an error of Trino's means to who asked; one that means nothing to them is given back."""
        name, said = refused.error_name, refused.message
        if name in _LIMITS:
            return query_limit(self._settings)
        if name in _MISFITS:
            return ProblemError("invalid-request", f"a value does not fit its column: {said}")
        if name in _GONE or (name == "INVALID_ARGUMENTS" and "snapshot" in said.lower()):
            return ProblemError("snapshot-gone", "a table or its snapshot went away while it was read; ask again")
        if name in _BEYOND:
            return ProblemError("beyond-the-engine", f"Trino: {said}")
        if isinstance(refused, TrinoExternalError):
            return ComponentError("Trino cannot read the lake", remedy="lake status; lake up")
        return refused


@lru_cache(maxsize=512)
def translated(query: str) -> tuple[str, tuple[str, ...]]:
    """DuckDB's SQL as Trino's, with `?` for every parameter, and their names in that order."""
    tree = parse_one(query, dialect="duckdb").transform(_meant)
    text = tree.sql(dialect="trino", comments=False, unsupported_level=ErrorLevel.RAISE)
    return re.sub(rf"{_MARK}\w+", "?", text), tuple(re.findall(rf"{_MARK}(\w+)", text))


def _meant(part: exp.Expression) -> exp.Expression:
    """What DuckDB means where Trino would mean something else by the same words."""
    if isinstance(part, exp.Placeholder):
        return exp.Var(this=f"{_MARK}{part.name}")
    if isinstance(part, exp.Avg):
        part.set("this", exp.cast(part.this, "double"))  # a decimal's would be rounded to its scale
    if isinstance(part, exp.AtTimeZone):
        return _at_zone(part)
    if isinstance(part, exp.DataType) and part.this in _MICROSECONDS and not part.expressions:
        return exp.DataType(this=part.this, expressions=[exp.DataTypeParam(this=exp.Literal.number(6))])
    return part


def _at_zone(part: exp.AtTimeZone) -> exp.Expression:
    """An instant's clock, or a clock's instant: which of them is told by the cast before it."""
    time, zone = part.this.transform(_meant), part.args["zone"]
    kind = time.to.this if isinstance(time, exp.Cast) else None
    if kind == exp.DType.TIMESTAMPTZ:
        return exp.cast(exp.AtTimeZone(this=time, zone=zone), "timestamp(6)", dialect="duckdb")
    if kind == exp.DType.TIMESTAMPNTZ:
        return exp.Anonymous(this="with_timezone", expressions=[time, zone])
    raise ValueError(f"{part.sql()} needs a cast to timestamptz or timestamp before it")


def _pinned(head: Head, with_places: bool) -> str:
    """The query that stands for a view: a table's rows, with their places where they are asked for."""
    if head.snapshot_id is None:
        empty, _ = translated(empty_view(head.table, tuple(head.columns)))
        return f"select *, '' as {FILE}, 0 as {ROW} from ({empty})" if with_places else empty
    namespace, name = head.table.split(".")
    place = f"{CATALOG}.{quoted(namespace)}.{quoted(name)} for version as of {head.snapshot_id}"
    return f"select *, '' as {FILE}, {_row(head)} as {ROW} from {place}" if with_places else f"select * from {place}"


def _row(head: Head) -> str:
    """What tells a table's rows apart at this snapshot. Raises ProblemError where nothing does."""
    if head.has_row_ids:
        return '"$row_id"'
    if unordered := [name for name, kind in head.columns.items() if kind.startswith(_UNORDERED)]:
        why = f"{head.table} has format 2 and its column {unordered[0]} no order, so Trino cannot page through it"
        raise ProblemError("beyond-the-engine", why)
    return f"row_number() over (order by {', '.join(map(quoted, head.columns))})"
