"""Every table of the lake: which there are, and the rows of one, filtered, projected and at any snapshot."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from catalog.tables import TABLES
from serving.api.access import needs
from serving.api.answering import Answering, Page
from serving.api.filters import FLOATING, conditions, known, orderable
from serving.api.heads import Head, Heads
from serving.api.keys import Scope
from serving.api.moments import past
from serving.api.problems import ProblemError
from serving.api.questions import FILE, ROW, Order, Question, quoted
from serving.api.routes.documented import answers
from serving.rows import LakeTable

router = APIRouter(prefix="/api/v1/tables", tags=["tables"], dependencies=[Depends(needs(Scope.TABLES))])
BY, NAN = "_lake_by", "_lake_nan"
LISTED_SECONDS = 5.0
"""How old what the list says of a table may be."""
LISTED = pa.schema(
    {
        "table": pa.string(),
        "description": pa.string(),
        "rows": pa.int64(),
        "snapshot_id": pa.string(),
        "committed_at": pa.timestamp("us", "UTC"),
        "columns": pa.list_(pa.struct({"name": pa.string(), "type": pa.string()})),
    }
)

Name = Annotated[str, Path(max_length=128)]


class RowsPage(Page):
    """Which rows and columns."""

    columns: Annotated[str | None, Field(max_length=4000, description="names, separated by commas; all when unset")] = (
        None
    )
    where: Annotated[
        list[str],
        Field(
            max_length=16,
            description="conditions that all hold, each `column:operator:value`; operators are eq, ne, lt, le, gt, ge,"
            " in (values separated by commas), null and known (without a value)",
        ),
    ] = []  # noqa: RUF012 - pydantic copies it
    order_by: Annotated[
        str | None,
        Field(
            max_length=128,
            description="a column, `-` before it for descending; rows that this does not order, or all when unset,"
            " come as they are stored, as the SQL engine counts that",
        ),
    ] = None


@router.get("", **answers(list[LakeTable]))
def tables(request: Request) -> Response:
    """All tables with their columns and present snapshots."""
    heads: Heads = request.app.state.heads
    described = {table.identifier: table.description for table in TABLES}
    found = [_listed(heads.of(name, within=LISTED_SECONDS), described.get(name)) for name in heads.tables()]
    answering: Answering = request.app.state.answering
    return answering.listed(request, pa.Table.from_pylist(found, LISTED))


@router.get("/{namespace}/{table}", **answers(list[dict[str, Any]], "unknown-table", "unknown-column"))
def rows(request: Request, namespace: Name, table: Name, page: Annotated[RowsPage, Query()]) -> Response:
    """Rows of one table. Pages of one reading come from one snapshot: follow `next_cursor`."""
    answering: Answering = request.app.state.answering
    head = _head(request, f"{namespace}.{table}", page)
    columns = list(dict.fromkeys(page.columns.split(","))) if page.columns else list(head.columns)
    for column in columns:
        known(column, head.columns)
    where, values = conditions(page.where, head.columns)
    question = _question(head, columns, where, page.order_by)
    return answering.rows(request, question, page, values)


def _head(request: Request, table: str, page: RowsPage) -> Head:
    """The table at the snapshot that is asked for. Raises ProblemError where there is no such table or snapshot."""
    heads: Heads = request.app.state.heads
    head = heads.of(table) if heads.known(table) else Head(table)
    if not head.exists:
        close = difflib.get_close_matches(table, heads.tables(), n=1)
        hint = f"did you mean {close[0]}?" if close else "/api/v1/tables lists them"
        raise ProblemError("unknown-table", f"there is no table {table[:200]!r}; {hint}")
    if page.as_of is not None:
        return heads.as_of(table, past(page.as_of))
    if page.cursor is not None:
        answering: Answering = request.app.state.answering
        return heads.of(table, answering.cursors.read(page.cursor).snapshots.get(table))
    return head


def _question(head: Head, columns: Sequence[str], where: str, order_by: str | None) -> Question:
    """The reading of one table as a question; its name tells readings apart that differ in more than values."""
    places = (Order(FILE), Order(ROW))
    named = ", ".join(map(quoted, columns))
    order: tuple[Order, ...] = ()
    if order_by is not None:
        column = order_by.removeprefix("-")
        kind, descending = orderable(column, head.columns), order_by.startswith("-")
        by = quoted(column)
        if kind in FLOATING:  # NaN stands above all numbers, but engines compare it in different ways
            named += f", isnan({by}) as {NAN}"
            by, order = f"case when not isnan({by}) then {by} end", (Order(NAN, descending),)
        named += f", {by} as {BY}"
        order = (*order, Order(BY, descending, kind), *places)
    sql = f"select {named}, {FILE}, {ROW} from lake_table where {where}"
    name = f"{head.table} {sha256(sql.encode()).hexdigest()[:16]}"
    order = order or places
    return Question(name, sql, {"lake_table": head.table}, ("lake_table",), order, tuple(o.column for o in order))


def _listed(head: Head, description: str | None) -> dict[str, Any]:
    entry = head.entry
    return {
        "table": head.table,
        "description": description,
        "rows": entry.rows_total if entry else 0,
        "snapshot_id": str(entry.snapshot_id) if entry else None,
        "committed_at": entry.committed_at if entry else None,
        "columns": [{"name": name, "type": kind} for name, kind in head.columns.items()],
    }
