"""DuckDB in this process: what answers the API's questions unless the settings name another engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from catalog.errors import ComponentError
from catalog.readers import duckdb_connection
from catalog.settings import CATALOG, Settings
from serving.api.heads import Head
from serving.api.problems import ProblemError, query_limit
from serving.api.questions import FILE, ROW, empty_view, quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

THREADS = 2


class DuckDB:
    """One DuckDB for all requests; each query has a connection, views and a time limit of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root: DuckDBPyConnection | None = None
        self._opening = threading.Lock()

    def open(self) -> DuckDBPyConnection:
        """The DuckDB, which takes some seconds the first time. Raises ComponentError."""
        with self._opening:
            if self._root is None:
                root = duckdb_connection(self._settings, threads=THREADS)
                root.execute(f"set memory_limit = '{self._settings.api_memory}'")
                root.execute("set temp_directory = ''")
                self._root = root
            return self._root

    def run(self, query: str, parameters: Mapping[str, Any], views: Mapping[str, Head], places: bool) -> pa.Table:
        """The rows of a query over these views. Raises ProblemError, ComponentError."""
        try:
            with self._connection() as connection, self._bounded(connection):
                connection.execute("begin")
                for view, head in views.items():
                    connection.execute(f"create temp view {quoted(view)} as {_pinned(head, places)}")
                return connection.execute(query, dict(parameters)).to_arrow_table()
        except duckdb.Error as refused:
            raise _explained(refused) from refused

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
            raise query_limit(self._settings) from stopped
        finally:
            timer.cancel()


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
        return ProblemError("beyond-the-engine", "the table has a column of a type that DuckDB cannot read")
    if isinstance(refused, duckdb.CatalogException) or "Could not find snapshot" in str(refused):
        return ProblemError("snapshot-gone", "a table or its snapshot went away while it was read; ask again")
    return refused
