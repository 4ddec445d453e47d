"""The lake as the API reads it: DuckDB, each table pinned to a snapshot, queries bounded in time, memory and rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from catalog.errors import ComponentError
from catalog.readers import duckdb_connection
from catalog.settings import CATALOG, Settings
from serving.api.heads import Head, Heads
from serving.api.moments import past
from serving.api.problems import ProblemError
from serving.api.questions import FILE, ROW, Asked, Order, Question, empty_view, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from serving.api.metrics import Metrics

CONCURRENT = 2
"""Queries at once; more wait, since each uses every core that it is given."""
THREADS = 2


@dataclass(frozen=True)
class Rows:
    """A page: its rows, the tables as they were read, why there are no rows, where the next page begins.

    `needed` are the tables that the rows are about; others only lend names.
    """

    table: pa.Table
    heads: tuple[Head, ...]
    needed: tuple[str, ...]
    reason: str | None
    after: tuple[Any, ...] | None


class Lake:
    """One DuckDB for all requests; each query has a connection, views and a time limit of its own."""

    def __init__(self, settings: Settings, heads: Heads, metrics: Metrics) -> None:
        self._settings, self._heads, self._metrics = settings, heads, metrics
        self._root: DuckDBPyConnection | None = None
        self._opening = threading.Lock()
        self._turns = threading.BoundedSemaphore(CONCURRENT)

    def heads(self, asked: Asked) -> tuple[Head, ...]:
        """The question's tables at the snapshots that would be read now, in the order of its views."""
        tables = asked.question.views.values()
        if asked.moment is not None and not asked.pins:
            moment = past(asked.moment)
            return tuple(self._heads.as_of(table, moment) for table in tables)
        return tuple(self._heads.of(table, asked.pins.get(table)) for table in tables)

    def ask(self, asked: Asked, heads: Sequence[Head]) -> Rows:
        """A page of rows at those snapshots. Raises ProblemError when it takes too long, ComponentError."""
        question, by_view = asked.question, dict(zip(asked.question.views, heads, strict=True))
        query, values = page_query(question.sql, question.order, asked.limit, asked.after)
        found = self._run(asked.question, by_view, query, {**asked.parameters, **values})
        is_more, page = found.num_rows > asked.limit, found.slice(0, asked.limit)
        marks = [f"_order_{n}" for n in range(len(question.order))]
        after = tuple(page.column(mark)[-1].as_py() for mark in marks) if is_more else None
        reason = next((why for view in question.needs if (why := by_view[view].why_empty())), None)
        if page.num_rows == 0 and reason is None:
            reason = "no rows: the tables hold none that the request asks for"
        shown = page.drop_columns([*marks, *question.hidden])
        needed = tuple(question.views[view] for view in question.needs)
        return Rows(shown, tuple(heads), needed, reason, after)

    def _run(
        self, question: Question, views: Mapping[str, Head], query: str, parameters: Mapping[str, Any]
    ) -> pa.Table:
        began = time.monotonic()
        if not self._turns.acquire(timeout=self._settings.api_query_seconds):
            raise self._timeout()
        try:
            with self._connection() as connection, self._bounded(connection):
                connection.execute("begin")
                for view, head in views.items():
                    connection.execute(f"create temp view {quoted(view)} as {_pinned(head, bool(question.hidden))}")
                return connection.execute(query, dict(parameters)).to_arrow_table()
        except duckdb.Error as refused:
            raise _explained(refused) from refused
        finally:
            self._turns.release()
            self._metrics.query_seconds.observe(time.monotonic() - began)

    def open(self) -> DuckDBPyConnection:
        """The DuckDB, which takes some seconds the first time."""
        with self._opening:
            if self._root is None:
                root = duckdb_connection(self._settings, threads=THREADS)
                root.execute(f"set memory_limit = '{self._settings.api_memory}'")
                root.execute("set temp_directory = ''")
                self._root = root
            return self._root

    @contextmanager
    def _connection(self) -> Iterator[DuckDBPyConnection]:
        connection = self.open().cursor()
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _bounded(self, connection: DuckDBPyConnection) -> Iterator[None]:
        timer = threading.Timer(self._settings.api_query_seconds, connection.interrupt)
        timer.start()
        try:
            yield
        except (duckdb.InterruptException, duckdb.OutOfMemoryException) as stopped:
            raise self._timeout() from stopped
        finally:
            timer.cancel()

    def _timeout(self) -> ProblemError:
        detail = f"more than {self._settings.api_query_seconds:g} s or {self._settings.api_memory}: ask for less"
        return ProblemError("query-limit", detail, headers={"Retry-After": "5"})


def page_query(sql: str, order: Sequence[Order], limit: int, after: Sequence[Any] | None) -> tuple[str, dict[str, Any]]:
    """The query of one page and one row more, with its parameters. `order` columns are repeated as `_order_N`."""
    marks = ", ".join(f"{quoted(each.column)} as _order_{n}" for n, each in enumerate(order))
    values = {f"after_{n}": value for n, value in enumerate(after or ()) if value is not None}
    where = f"where {_behind(order, after)}" if after is not None else ""
    by = ", ".join(f"{quoted(o.column)} {'desc' if o.descending else 'asc'} nulls last" for o in order)
    body = sql.rstrip().rstrip(";")
    return f"select *, {marks} from (\n{body}\n) as answer {where} order by {by} limit {limit + 1}", values


def _behind(order: Sequence[Order], after: Sequence[Any]) -> str:
    """The condition that a row stands behind another one in this order; nulls stand last."""
    ways: list[str] = []
    equal: list[str] = []
    for n, (each, value) in enumerate(zip(order, after, strict=True)):
        name = quoted(each.column)
        if value is not None:
            later = f"({name} {'<' if each.descending else '>'} $after_{n} or {name} is null)"
            ways.append(" and ".join([*equal, later]))
        equal.append(f"{name} is null" if value is None else f"{name} = $after_{n}")
    return f"({' or '.join(f'({way})' for way in ways) or 'false'})"


def _pinned(head: Head, with_places: bool) -> str:
    """The view of a table: its rows, with the file and the row in it where they are asked for."""
    if head.snapshot_id is None:
        empty = empty_view(head.table, tuple(head.columns))
        return f"select *, '' as {FILE}, 0 as {ROW} from ({empty})" if with_places else empty
    places = f", filename as {FILE}, file_row_number as {ROW}" if with_places else ""
    namespace, name = head.table.split(".")
    place = f"{CATALOG}.{quoted(namespace)}.{quoted(name)}"
    return f"select *{places} from {place} at (version => {head.snapshot_id})"


def _explained(refused: duckdb.Error) -> Exception:
    """What an error of DuckDB means to who asked; one that means nothing to them is given back."""
    if isinstance(refused, (duckdb.IOException, duckdb.HTTPException)):
        return ComponentError("DuckDB cannot read the lake", remedy="lake status; lake up")
    if isinstance(refused, duckdb.ConversionException):
        return ProblemError("invalid-request", f"a value does not fit its column: {str(refused).splitlines()[0]}")
    if isinstance(refused, duckdb.NotImplementedException):
        return ProblemError("invalid-request", "the table has a column of a type that DuckDB cannot read")
    if isinstance(refused, duckdb.CatalogException) or "Could not find snapshot" in str(refused):
        return ProblemError("snapshot-gone", "a table or its snapshot went away while it was read; ask again")
    return refused
