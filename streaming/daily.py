"""A table of one file per day: whoever changes a day writes its file anew, and readers find no small files or vectors.

A commit takes files away and adds others, with the position it brings the table to, in one compare-and-set. So a
reader sees all days at one position, and every engine reads it alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Executor
from datetime import date, timedelta

import pyarrow as pa
import structlog

from catalog.positions import Position, PositionLostError
from catalog.settings import CATALOG
from catalog.tables.cdc import TABLE_PROPERTIES
from catalog.tables.ddl import create_statement
from catalog.tables.table import Table
from streaming.files import FileCache
from streaming.iceberg import IcebergTable, Lake, LiveFile, written_live
from streaming.shape import shaped
from streaming.writer import TableWriter

log = structlog.get_logger()

_PROPERTIES = {**TABLE_PROPERTIES, "commit.manifest.min-count-to-merge": "2"}
"""One manifest: every commit takes files out of it, wherever they are, and would rewrite several."""
_EPOCH = date(1970, 1, 1)


class DailyTable(TableWriter):
    """Days are counted from 1970, UTC. `files` are the live ones by day; `cache` holds what was read or written."""

    def __init__(self, table: IcebergTable, column: str, cache: FileCache[pa.Table], pool: Executor) -> None:
        super().__init__(table)
        self._column, self._cache, self._pool = column, cache, pool
        self.files: dict[int, list[LiveFile]] = {}

    def load(self) -> None:
        """Read head, position and live files; no position where something else than the stream wrote the table."""
        try:
            super().load()
        except PositionLostError as lost:
            log.warning("the position is lost", table=self.table.identifier, why=str(lost))
            self.position = self._committed = None
        files: dict[int, list[LiveFile]] = defaultdict(list)
        for file in self.table.live_files(None):
            files[(date.fromisoformat(file.partition.rpartition("=")[2]) - _EPOCH).days].append(file)
        self.files = dict(files)

    def rows(self, day: int) -> pa.Table:
        """The rows of a day, none where it has no file."""
        schema = self.table.arrow_schema
        return pa.concat_tables([schema.empty_table(), *(self._read(file.path) for file in self.files.get(day, ()))])

    def _read(self, path: str) -> pa.Table:
        store, schema = self.table.lake.store, self.table.arrow_schema
        return self._cache.get(path, lambda: shaped(store.read_parquet(path), schema))

    def write(self, days: Mapping[int, pa.Table]) -> dict[int, LiveFile | None]:
        """Write the new rows of some days, each in sort order; a day without rows gets no file."""
        return dict(self._pool.map(self._write, days.items()))

    def replace(
        self, days: Mapping[int, LiveFile | None], position: Position, facts: dict[str, str] | None = None
    ) -> None:
        """Commit written days in the place of what they were, and the position. Raises FencedError, ComponentError."""
        added = [file.java for file in days.values() if file is not None]

        def commit() -> int:
            removed = [file for day in days for file in self.files.get(day, ())]
            return self.table.overwrite(position, self.head, added=added, removed=removed, facts=facts)

        self.land(commit, position)
        for day, new in days.items():
            for file in self.files.pop(day, ()):
                self._cache.forget(file.path)
            if new is not None:
                self.files[day] = [new]

    def _write(self, change: tuple[int, pa.Table]) -> tuple[int, LiveFile | None]:
        day, rows = change
        if not len(rows):
            return day, None
        partition = f"{self._column}_day={_EPOCH + timedelta(days=day)}"
        whole = shaped(rows, self.table.arrow_schema)
        file = self.table.lake.store.write_parquet(f"{self.table.data_location}/{partition}", whole)
        self._cache.put(file.path, whole)
        return day, written_live(file, self.table.data_file_without_bounds(file, partition), partition)


def ensure_table(lake: Lake, declared: Table) -> IcebergTable:
    """The declared table, made where it is missing."""
    if not lake.has_table(declared.identifier):  # Spark takes a second to say so
        lake.create(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{declared.namespace}")
        lake.create(create_statement(declared, _PROPERTIES))
    return lake.table(declared.identifier)
