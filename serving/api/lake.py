"""The lake as the API reads it: each table pinned to a snapshot, queries bounded in number, time, memory and rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from catalog.settings import Settings
from serving.api.by_duckdb import DuckDB
from serving.api.by_trino import Trino
from serving.api.heads import Head, Heads
from serving.api.moments import past
from serving.api.problems import query_limit
from serving.api.questions import Asked, Order, quoted

if TYPE_CHECKING:
    from serving.api.metrics import Metrics

CONCURRENT = 2
"""Queries at once; more wait, since each uses every core that it is given."""


class Engine(Protocol):
    """What runs queries. They come in DuckDB's SQL; another engine translates them."""

    def __init__(self, settings: Settings) -> None: ...

    def open(self) -> object:
        """Make ready what takes its time. Raises ComponentError."""

    def run(self, query: str, parameters: Mapping[str, Any], views: Mapping[str, Head], places: bool) -> pa.Table:
        """The rows of a query over these views, with the columns FILE and ROW in each if `places`.

        Raises ProblemError when it takes more time or memory than allowed, ComponentError.
        """


ENGINES: dict[str, type[Engine]] = {"duckdb": DuckDB, "trino": Trino}


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
    """One engine for all requests, of which a few are answered at once."""

    def __init__(self, settings: Settings, heads: Heads, metrics: Metrics) -> None:
        self._settings, self._heads, self._metrics = settings, heads, metrics
        self._engine = ENGINES[settings.api_engine](settings)
        self._turns = threading.BoundedSemaphore(CONCURRENT)

    def open(self) -> None:
        """Make the engine ready, so that the first question need not wait for it. Raises ComponentError."""
        self._engine.open()

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
        found = self.run(query, {**asked.parameters, **values}, by_view, bool(question.hidden))
        is_more, page = found.num_rows > asked.limit, found.slice(0, asked.limit)
        marks = [f"_order_{n}" for n in range(len(question.order))]
        after = tuple(page.column(mark)[-1].as_py() for mark in marks) if is_more else None
        reason = next((why for view in question.needs if (why := by_view[view].why_empty())), None)
        if page.num_rows == 0 and reason is None:
            reason = "no rows: the tables hold none that the request asks for"
        shown = page.drop_columns([*marks, *question.hidden])
        needed = tuple(question.views[view] for view in question.needs)
        return Rows(shown, tuple(heads), needed, reason, after)

    def run(
        self, query: str, parameters: Mapping[str, Any], views: Mapping[str, Head], places: bool = False
    ) -> pa.Table:
        """What `Engine.run` gives, when its turn has come."""
        began = time.monotonic()
        if not self._turns.acquire(timeout=self._settings.api_query_seconds):
            raise query_limit(self._settings)
        try:
            return self._engine.run(query, parameters, views, places)
        finally:
            self._turns.release()
            self._metrics.query_seconds.observe(time.monotonic() - began)


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
        given = f"cast($after_{n} as {each.kind})" if each.kind else f"$after_{n}"
        if value is not None:
            later = f"({name} {'<' if each.descending else '>'} {given} or {name} is null)"
            ways.append(" and ".join([*equal, later]))
        equal.append(f"{name} is null" if value is None else f"{name} = {given}")
    return f"({' or '.join(f'({way})' for way in ways) or 'false'})"
