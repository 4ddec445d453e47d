"""The mirror: the source table as it stands, kept by key lookup and deletion vectors.

An epoch costs what its keys cost, however large the table is: the files that may hold a changed key are known from
their key bounds, the rows from their key columns (read once, then cached), and one commit adds a file of new rows and
a vector for each touched file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from catalog.errors import TableStoppedError
from catalog.positions import Copy, Position
from catalog.source import SourceTable
from catalog.tables.cdc import NEXT_GENERATION
from streaming.envelope import Events
from streaming.files import KeyCache, MirrorFile, WantedRange, mirror_file
from streaming.folding import Change, Missing, fold
from streaming.iceberg import MAIN, IcebergTable, LiveFile, written_live
from streaming.keys import FileKeys, KeyNumbers, bytes_of_a_row, key_numbers
from streaming.marking import TaskMarking, mark
from streaming.shape import shaped
from streaming.writer import TableWriter


class Mirror(TableWriter):
    """Applies folded events. While a copy is under way it writes to the branch of the next generation."""

    def __init__(
        self,
        table: IcebergTable,
        source: SourceTable,
        cache: KeyCache,
        pool: Executor,
        tasks: TaskMarking | None = None,
    ) -> None:
        super().__init__(table)
        self.source, self._cache, self._pool, self._tasks = source, cache, pool, tasks
        self._store = table.lake.store
        self._is_new = False
        self.files: dict[str, MirrorFile] = {}

    def load(self) -> None:
        """Read head, position and live files; adopt a copy that was complete but not yet adopted."""
        self.branch = MAIN if self.table.head(NEXT_GENERATION) is None else NEXT_GENERATION
        super().load()
        if self.position is not None and self.position.copy is None and self.branch == NEXT_GENERATION:
            self._adopt()
            return
        if self.position is not None and self.branch == MAIN:
            self.position = self._committed = replace(self.position, copy=None)
        self._plan()

    def _plan(self) -> None:
        first = self.source.key[0]
        kind = self.source.arrow_schema.field(first).type
        known = self.files
        self.files = {}
        for live in self.table.live_files(first, self.branch):
            self.files[live.path] = mirror_file(live, kind)
        for path in known.keys() - self.files.keys():
            self._cache.forget(path)

    def begin_copy(self, copy: Copy, position: Position) -> None:
        """Start an empty next generation at `position`, throwing away a copy that was not finished."""
        if self.branch == NEXT_GENERATION:
            self.table.drop_next_generation()
            self.table.refresh()
        self.branch, self.head = NEXT_GENERATION, self.table.head(MAIN)
        self.files = {}
        self.position = self._committed = replace(position, generation=position.generation + 1, copy=copy)
        self._is_new = True

    def append_copied(self, rows: pa.Table, position: Position) -> None:
        """Append rows whose keys are new to the generation."""
        file = self._write_rows(rows)
        commit = self.table.overwrite if self._is_new else self.table.row_delta
        self.land(lambda: commit(position, self.head, added=[file.live.java], branch=self.branch), position)
        self._is_new = False
        self.files[file.path] = file

    @property
    def is_copying(self) -> bool:
        """True while the next generation is being filled."""
        return self.branch == NEXT_GENERATION

    def replace_files(self, old: Sequence[LiveFile], rows: pa.Table) -> None:
        """Commit one file with `rows` in the place of files that hold just these. Raises StaleSnapshotError."""
        if self.head is None:
            return
        new = self._write_rows(rows) if len(rows) else None
        self.head = self.table.rewrite(self.committed, self.head, old, [new.live.java] if new else [])
        for file in old:
            del self.files[file.path]
            self._cache.forget(file.path)
        if new:
            self.files[new.path] = new

    def finish_copy(self) -> None:
        """Make the next generation the table."""
        self._adopt()

    def _adopt(self) -> None:
        ahead = self.position
        self.table.adopt_next_generation()
        self.table.refresh()
        self.load()
        # What was read beyond the last commit held no records, and the next epoch begins there.
        self.position = None if ahead is None else replace(ahead, copy=None)

    def apply(self, events: Events, position: Position) -> None:
        """Apply events and move to `position`, in one commit, also where they cancel each other out."""
        change = fold(events, self.source.key)
        self.land(lambda: self._commit(change, position), position)

    def _commit(self, change: Change, position: Position) -> int:
        files = {} if change.truncate else self.files
        rows = self._with_old_values(change, files)
        marked = self._marked(change, files.values())
        added = self._write_rows(rows) if len(rows) else None
        new_files = [added.live.java] if added else []
        facts = {"lake.upserted": str(len(rows)), "lake.keys": str(len(change.touched))}
        if change.truncate:
            head = self.table.overwrite(position, self.head, added=new_files, branch=self.branch, facts=facts)
        else:
            vectors = [
                (
                    self.table.delete_file(new.vector),
                    self.table.delete_file(old.vector) if old.vector else None,
                )
                for old, new in marked
                if new.vector is not None
            ]
            head = self.table.row_delta(
                position,
                self.head,
                added=new_files,
                vectors=vectors,
                branch=self.branch,
                facts=facts,
            )
        self.files = {**files, **{file.path: file for _, file in marked}}
        if added:
            self.files[added.path] = added
        return head

    def _keys_of(self, file: MirrorFile) -> FileKeys:
        return self._cache.get(file.path, lambda: self._store.read_keys(file.path, self.source.key))

    def _find(self, file: MirrorFile, wanted: KeyNumbers) -> tuple[np.ndarray, np.ndarray]:
        """Live rows of a file that hold wanted keys, and the places of these keys."""
        rows, places = self._keys_of(file).find(wanted)
        if rows.size and (file.vector is not None):
            deleted = file.deleted(self._store)
            alive = np.fromiter((row not in deleted for row in rows.tolist()), dtype=bool, count=rows.size)
            rows, places = rows[alive], places[alive]
        return rows, places

    def _marked(self, change: Change, files: Iterable[MirrorFile]) -> list[tuple[MirrorFile, MirrorFile]]:
        """The files that hold a changed key, before and after they got a vector that deletes it."""
        if not len(change.touched):
            return []
        wanted = WantedRange(change.keys[self.source.key[0]])
        here, there = self._divided([file for file in files if file.alive and wanted.may_be_in(file)])
        location = self.table.data_location

        def look(file: MirrorFile) -> tuple[MirrorFile, MirrorFile] | None:
            before = file.deleted(self._store)
            found = mark(self._store, location, file.path, self._keys_of(file), change.touched, before)
            return found and (file, file.replaced(*found))

        marked = [found for found in self._pool.map(look, here) if found is not None]
        if self._tasks and there:
            by_path = {file.path: file for file in there}
            places = [(file.path, file.vector) for file in there]
            vectors = self._tasks.mark_all(location, self.source.key, change.touched, places)
            marked += [(by_path[new.data_file], by_path[new.data_file].replaced(new, None)) for new in vectors]
        return marked

    def _divided(self, files: list[MirrorFile]) -> tuple[list[MirrorFile], list[MirrorFile]]:
        """The files for the driver, and for tasks those whose keys are not held and would not fit."""
        unknown = [file for file in files if not self._cache.holds(file.path)]
        needed = sum(file.live.rows for file in unknown) * bytes_of_a_row(self.source.arrow_schema, self.source.key)
        if self._tasks is None or needed <= self._cache.limit:
            return files, []
        return [file for file in files if self._cache.holds(file.path)], unknown

    def _write_rows(self, rows: pa.Table) -> MirrorFile:
        """Write rows in key order to one data file, and hold its keys."""
        rows = rows.sort_by([(name, "ascending") for name in self.source.key])
        written = self._store.write_parquet(self.table.data_location, shaped(rows, self.table.arrow_schema))
        live = written_live(written, self.table.data_file(written))
        first = rows[self.source.key[0]]
        wanted = WantedRange(first)
        self._cache.put(live.path, FileKeys.of(key_numbers(rows.select(list(self.source.key)))))
        return MirrorFile(live, wanted.lowest, wanted.highest, BitMap())

    def _with_old_values(self, change: Change, files: dict[str, MirrorFile]) -> pa.Table:
        rows = change.upserts
        for missing in change.missing:
            rows = self._fill(rows, missing, files)
        return rows

    def _fill(self, rows: pa.Table, missing: Missing, files: dict[str, MirrorFile]) -> pa.Table:
        """Put the old rows' values where updates left them out. Raises TableStoppedError when there is no old row."""
        values = rows[missing.column].to_pylist()
        waiting = set(range(len(missing.keys)))
        for file in files.values():
            found, places = self._find(file, missing.keys)
            if not found.size:
                continue
            held = self._store.read_parquet(file.path, [missing.column])
            if missing.column not in held.column_names:
                held = held.append_column(missing.column, pa.nulls(file.live.rows, rows[missing.column].type))
            olds = held[missing.column].take(pa.array(found, pa.int64())).to_pylist()
            for old, place in zip(olds, places.tolist(), strict=True):
                values[int(missing.rows[place])] = old
                waiting.discard(place)
        if waiting:
            raise TableStoppedError(
                self.source.qualified,
                f"{len(waiting)} updates left {missing.column} out as unchanged, and no earlier value is known",
                remedy=f"ALTER TABLE {self.source.qualified} REPLICA IDENTITY FULL, then lake resync it",
            )
        place = rows.schema.get_field_index(missing.column)
        return rows.set_column(place, rows.schema.field(place), pa.array(values, rows[missing.column].type))
