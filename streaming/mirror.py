"""The mirror: the source table as it stands, kept by key lookup and deletion vectors.

An epoch costs what its keys cost, however large the table is: the files that may hold a changed key are known from
their key bounds, the rows from their key columns (read once, then cached), and one commit adds a file of new rows and
a vector for each touched file. Where many small files are touched, their rows go into the new file instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
from pyroaring import BitMap

from catalog.positions import Copy, Position
from catalog.source import SourceTable
from catalog.tables.cdc import NEXT_GENERATION
from streaming.envelope import Events
from streaming.files import KeyCache, MirrorFile, WantedRange, mirror_file
from streaming.filling import OldValues
from streaming.folding import Change, fold
from streaming.iceberg import MAIN, IcebergTable, LiveFile
from streaming.keys import FileKeys, WantedKeys, bytes_of_a_row, key_numbers
from streaming.marking import Lookup, Touched, many_small, mark
from streaming.shape import shaped
from streaming.tasks import Tasks
from streaming.writer import TableWriter

PIECE_BYTES = 64 << 20
"""Rows of one file at most, in memory: a task is sent a piece, and takes up to 128 MiB."""


class Mirror(TableWriter):
    """Applies folded events. While a copy is under way it writes to the branch of the next generation."""

    def __init__(
        self,
        table: IcebergTable,
        source: SourceTable,
        cache: KeyCache,
        pool: Executor,
        tasks: Tasks | None = None,
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
        first = self.source.key[0] if self.source.key else None
        kind = self.source.arrow_schema.field(first).type if first else pa.null()
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
        added = self._write_rows(shaped(rows, self.table.arrow_schema))
        new_files = [file.live.java for file in added]
        commit = self.table.overwrite if self._is_new else self.table.row_delta
        self.land(lambda: commit(position, self.head, added=new_files, branch=self.branch), position)
        self._is_new = False
        self.files.update({file.path: file for file in added})

    @property
    def is_copying(self) -> bool:
        """True while the next generation is being filled."""
        return self.branch == NEXT_GENERATION

    def write_whole(self, rows: pa.Table) -> list[MirrorFile]:
        """Write rows of one partition, ordered by key, to one file; none of no rows. No snapshot refers to it yet."""
        return self._write_pieces([(values, part) for values, part in self.table.parts(rows) if len(part)])

    def replace_files(self, old: Sequence[MirrorFile], new: Sequence[MirrorFile]) -> None:
        """Commit new files, with their vectors, in the place of those that hold the same rows.

        Raises StaleSnapshotError.
        """
        if self.head is None:
            return
        vectors = [self.table.delete_file(file.vector, file.live) for file in new if file.vector is not None]
        added = [file.live.java for file in new]
        self.head = self.table.rewrite(self.committed, self.head, [file.live for file in old], added, vectors)
        self._forget(file.path for file in old)
        self.files.update({file.path: file for file in new})

    def forget_keys(self, files: Iterable[MirrorFile]) -> None:
        """Files that were written and are not needed."""
        for file in files:
            self._cache.forget(file.path)

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
        old = OldValues(self._store, self._cache, self.source)
        rows = shaped(old.filled(change, files.values()), self.table.arrow_schema)
        touched = self._touched(change, files.values())
        added = self._write_rows(pa.concat_tables([rows, *touched.kept]))
        new_files = [file.live.java for file in added]
        facts = {"lake.upserted": str(len(rows)), "lake.keys": str(len(change.touched))}
        if change.truncate:
            head = self.table.overwrite(position, self.head, added=new_files, branch=self.branch, facts=facts)
        else:
            vectors = [
                (
                    self.table.delete_file(new.vector, old.live),
                    self.table.delete_file(old.vector, old.live) if old.vector else None,
                )
                for old, new in touched.marked
                if new.vector is not None
            ]
            head = self.table.row_delta(
                position,
                self.head,
                added=new_files,
                vectors=vectors,
                removed=[file.live for file in touched.emptied],
                branch=self.branch,
                facts=facts,
            )
        self.files = {**files, **{file.path: file for _, file in touched.marked}}
        self._forget(file.path for file in touched.emptied)
        self.files.update({file.path: file for file in added})
        return head

    def _forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            del self.files[path]
            self._cache.forget(path)

    def _touched(self, change: Change, files: Iterable[MirrorFile]) -> Touched:
        """What becomes of the files that hold a changed key."""
        if not len(change.touched):
            return Touched()
        possible = WantedRange(change.keys[self.source.key[0]])
        asked = [file for file in files if file.alive and possible.may_be_in(file)]
        lookup = Lookup(self._store, self._cache, WantedKeys(change.keys, change.touched), self.table.arrow_schema)
        small = many_small(asked)
        others = list(zip(small, self._pool.map(lookup.others, small), strict=True))
        taken = {file.path for file in small}
        here, there = self._divided([file for file in asked if file.path not in taken])
        location = self.table.data_location

        def look(file: MirrorFile) -> tuple[MirrorFile, MirrorFile] | None:
            found = mark(self._store, location, file.path, lookup.found(file), file.deleted(self._store))
            return found and (file, file.replaced(*found))

        marked = [found for found in self._pool.map(look, here) if found is not None]
        if self._tasks and there:
            by_path = {file.path: file for file in there}
            places = [(file.path, file.live.size, file.vector) for file in there]
            vectors = self._tasks.mark_all(location, lookup.wanted, places)
            marked += [(by_path[new.data_file], by_path[new.data_file].replaced(new, None)) for new in vectors]
        emptied = [file for file, rows in others if rows is not None]
        return Touched(marked, emptied, [rows for _, rows in others if rows is not None])

    def _divided(self, files: list[MirrorFile]) -> tuple[list[MirrorFile], list[MirrorFile]]:
        """The files for the driver, and for tasks those whose keys are not held and would not fit."""
        unknown = [file for file in files if self._cache.held_of(file.path) is None]
        needed = sum(file.live.rows for file in unknown) * bytes_of_a_row(self.source.arrow_schema, self.source.key)
        if self._tasks is None or needed <= self._cache.limit:
            return files, []
        return [file for file in files if self._cache.held_of(file.path) is not None], unknown

    def _write_rows(self, rows: pa.Table) -> list[MirrorFile]:
        """Write rows in key order to data files, and hold their keys; in Spark's tasks where one file is too few.

        Each partition has files of its own.
        """
        ordered = rows.sort_by([(name, "ascending") for name in self.source.key]) if self.source.key else rows
        placed = [(values, piece) for values, part in self.table.parts(ordered) for piece in _cut(part)]
        return self._write_pieces(placed)

    def _write_pieces(self, placed: Sequence[tuple[Sequence[str], pa.Table]]) -> list[MirrorFile]:
        pieces = [piece for _, piece in placed]
        if self._tasks and self._tasks.are_elsewhere and len(pieces) > 1:
            written = self._tasks.write_all(self.table.data_location, pieces)
        else:
            written = list(
                self._pool.map(lambda piece: self._store.write_parquet(self.table.data_location, piece), pieces)
            )
        return [
            self._added(self.table.written(file, values), piece)
            for file, (values, piece) in zip(written, placed, strict=True)
        ]

    def _added(self, live: LiveFile, rows: pa.Table) -> MirrorFile:
        if not self.source.key:
            return MirrorFile(live, None, None, BitMap())
        key = rows.select(list(self.source.key))
        first = key.column(0)
        ends = WantedRange(
            pa.chunked_array([first.slice(0, 1).combine_chunks(), first.slice(len(rows) - 1).combine_chunks()])
        )
        if self._cache.takes(len(rows) * bytes_of_a_row(self.source.arrow_schema, self.source.key)):
            self._cache.put(live.path, FileKeys.of(key_numbers(key)))
        return MirrorFile(live, ends.lowest, ends.highest, BitMap())


def _cut(rows: pa.Table) -> list[pa.Table]:
    """Rows in pieces of about PIECE_BYTES; none of no rows."""
    count = max(1, -(-rows.nbytes // PIECE_BYTES))
    ends = [len(rows) * place // count for place in range(count + 1)]
    return [rows.slice(start, end - start) for start, end in pairwise(ends) if end > start]
