"""Answers to `lake sql`: one engine kept open, each query pinned to the past that was asked for."""

from __future__ import annotations

import contextlib
import readline  # noqa: F401 - gives `input` its history
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from catalog.errors import HistoryError, QueryError
from catalog.history import lake_name
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import Settings
from catalog.time_travel import AsOf, Engine, expand_tables, past_of, pin_tables
from catalog.versions import SUFFIX, history_of

if TYPE_CHECKING:
    import pyarrow as pa


When = AsOf | Mapping[str, int]
"""A past, or the snapshots of tables by `namespace.table`."""


class Answers:
    """An open engine; `ask` runs one statement and returns its rows."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._open: Any = None

    def __enter__(self) -> Answers:
        if self._engine == "duckdb":
            self._open = duckdb_connection(self._settings)
        elif self._engine == "trino":
            from catalog.trino import trino_connection

            self._open = trino_connection(self._settings)
        else:
            from catalog.session import spark_session

            self._open = spark_session(self._settings, "lake sql", driver_memory="2g")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine == "spark":
            self._open.stop()
        else:
            self._open.close()

    def ask(self, query: str, when: When | None = None) -> pa.Table:
        """The rows of one statement, of now unless told when.

        Raises QueryError with the engine's message, HistoryError for a past that the lake does not hold.
        """
        text = query.strip().rstrip(";")
        if not text:
            raise QueryError("there is no query", remedy='lake sql "select count(*) from taxi_cdc.trips"')
        if when is not None:
            text = self._pinned(text, when)
        text = self._expanded(text)
        return {"duckdb": self._duckdb, "spark": self._spark, "trino": self._trino}[self._engine](text)

    def _pinned(self, text: str, when: When) -> str:
        if not isinstance(when, AsOf):
            return pin_tables(text, self._engine, lambda name: _listed(when, name))
        catalog, at = iceberg_catalog(self._settings), when.fixed()
        own = contextlib.nullcontext(self._open) if self._engine == "duckdb" else None
        with own or duckdb_connection(self._settings) as reader:
            return pin_tables(text, self._engine, lambda name: past_of(at, catalog, reader, name))

    def _expanded(self, text: str) -> str:
        """DuckDB reads no views of the REST catalog: a history is put in the place of its name."""
        if self._engine != "duckdb" or SUFFIX not in text:
            return text
        catalog = iceberg_catalog(self._settings)
        return expand_tables(text, self._engine, lambda name: history_of(catalog, name))

    def _duckdb(self, text: str) -> pa.Table:
        import duckdb

        try:
            return self._open.execute(text).to_arrow_table()
        except duckdb.Error as refused:
            raise QueryError(f"DuckDB: {refused}", remedy="`show all tables` lists the tables") from refused

    def _trino(self, text: str) -> pa.Table:
        import requests
        from trino.exceptions import Error, TrinoUserError

        from catalog.trino import fetch

        try:
            return fetch(self._open, text)
        except TrinoUserError as refused:
            raise QueryError(
                f"Trino: {refused.message}", remedy="`show tables from taxi_cdc` lists the tables"
            ) from refused
        except (Error, requests.RequestException) as failed:
            raise QueryError(f"Trino: {failed}", remedy="lake status; lake up --with trino") from failed

    def _spark(self, text: str) -> pa.Table:
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException

        try:
            return self._open.sql(text).toArrow()
        except PySparkException as refused:
            message = (refused.getMessage() or str(refused)).split("\nJVM stacktrace")[0]
            raise QueryError(f"Spark: {message}", remedy="`show tables in taxi_cdc` lists the tables") from refused
        except Py4JJavaError as failed:
            message = str(failed.java_exception).splitlines()[0]
            raise QueryError(f"Spark: {message}", remedy="lake status: does every component answer?") from failed


def _listed(snapshots: Mapping[str, int], name: str) -> int:
    found = snapshots.get(lake_name(name))
    if found is None:
        raise HistoryError(f"{lake_name(name)} is not there or has no row yet", remedy="lake status")
    return found


def prompt(answers: Answers, when: When | None) -> None:
    """Ask one statement after another, each ended by a semicolon, until the input ends or `exit`."""
    from rich.console import Console
    from rich.markup import escape

    from lake.rows import print_rows

    console = Console(stderr=True)
    console.print("[dim]one statement, ended by ; — exit or Ctrl-D leaves[/]")
    with contextlib.suppress(EOFError):
        while (statement := _statement()) not in ("exit", "quit"):
            try:
                print_rows(answers.ask(statement, when), "table")
            except (QueryError, HistoryError) as error:
                console.print(f"[red]{escape(str(error))}[/]", highlight=False)
            except KeyboardInterrupt:
                console.print("[dim]stopped[/]")


def _statement() -> str:
    lines = [input("lake> ")]
    while lines[0].strip() not in ("exit", "quit") and not lines[-1].rstrip().endswith(";"):
        lines.append(input("   -> "))
    return "\n".join(lines).strip().rstrip(";").strip()
