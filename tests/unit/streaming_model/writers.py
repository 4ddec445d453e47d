"""A mirror that is a dict: each event applied alone, the whole table written again by every commit."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from catalog.errors import TableStoppedError
from catalog.positions import Copy, Position
from catalog.source import SourceTable
from catalog.tables.cdc import NEXT_GENERATION
from streaming.envelope import Events
from streaming.iceberg import MAIN
from streaming.writer import TableWriter

Key = tuple[Any, ...]


class DictMirror(TableWriter):
    """The same operations as `streaming.mirror.Mirror`, by another way."""

    def __init__(self, table: Any, source: SourceTable) -> None:
        super().__init__(table)
        self.source = source
        self.rows: dict[Key, dict[str, Any]] = {}
        self.files: dict[str, Any] = {}

    @property
    def is_copying(self) -> bool:
        return self.branch == NEXT_GENERATION

    def load(self) -> None:
        self.branch = MAIN if self.table.head(NEXT_GENERATION) is None else NEXT_GENERATION
        super().load()
        if self.is_copying and self.position is not None and self.position.copy is None:
            self.finish_copy()
            return
        if not self.is_copying and self.position is not None:
            self.position = self._committed = self.position.moved({}, copy=None)
        self.rows = {self._key(row): row for row in self.table.rows(self.branch)}

    def begin_copy(self, copy: Copy, position: Position) -> None:
        if self.is_copying:
            self.table.drop_next_generation()
            self.table.refresh()
        self.branch, self.head, self.rows = NEXT_GENERATION, self.table.head(MAIN), {}
        self.position = self._committed = position.moved({}, generation=position.generation + 1, copy=copy)

    def append_copied(self, rows: pa.Table, position: Position) -> None:
        self._write({**self.rows, **{self._key(row): row for row in rows.to_pylist()}}, position)

    def finish_copy(self) -> None:
        self.table.adopt_next_generation()
        self.table.refresh()
        self.load()

    def apply(self, events: Events, position: Position) -> None:
        rows = dict(self.rows)
        left: dict[str, Any] | None = None
        before, after = events.before.to_pylist(), events.after.to_pylist()
        for place, op in enumerate(events.op):
            if op == "t":
                rows = {}
            elif op == "d":
                left = rows.pop(self._key(before[place]), None)
            else:
                new = dict(after[place])
                for column, left_out in events.placeholders.items():
                    if left_out[place]:
                        new[column] = self._old(rows.get(self._key(new), left), column)
                rows[self._key(new)] = new
        if rows != self.rows:
            self._write(rows, position)
        self.position = position

    def _old(self, row: dict[str, Any] | None, column: str) -> Any:
        if row is None:
            raise TableStoppedError(self.source.qualified, f"no earlier value of {column}")
        return row[column]

    def _key(self, row: dict[str, Any]) -> Key:
        return tuple(row[name] for name in self.source.key)

    def _write(self, rows: dict[Key, dict[str, Any]], position: Position) -> None:
        table = pa.Table.from_pylist(list(rows.values()), schema=self.table.arrow_schema)
        file = self.table.data_file(self.table.lake.store.write_parquet(self.table.data_location, table))
        self.land(lambda: self.table.overwrite(position, self.head, added=[file], branch=self.branch), position)
        self.rows = rows
