"""Store and REST catalog in memory: commits land only on the snapshot they were made from, and a process can die."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import ComponentError, StaleSnapshotError
from catalog.positions import REPLACE, Position, SnapshotEntry, position_of, saved_position
from catalog.tables.cdc import NEXT_GENERATION, POSITION_PROPERTY
from streaming.iceberg import MAIN, LiveFile
from streaming.puffin import Vector
from streaming.store import WrittenFile
from streaming_model.store import Files

BOUND_CHARACTERS = 16  # so much of a text does Iceberg keep in a column bound


class CrashError(Exception):
    """The process died: before its commit was sent, or before it heard that the commit landed."""


@dataclass(frozen=True)
class DataFile:
    path: str
    size: int
    rows: int
    partition: str


@dataclass(frozen=True)
class Snapshot:
    entry: SnapshotEntry
    files: Mapping[str, tuple[DataFile, Vector | None]]


@dataclass(frozen=True)
class Metadata:
    """One version of a table; a commit replaces it whole."""

    snapshots: Mapping[int, Snapshot] = field(default_factory=dict)
    refs: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Warehouse:
    """What outlives every process."""

    store: Files = field(default_factory=Files)
    tables: dict[str, Metadata] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    partitioned: bool = False


class Process:
    """One driver's connection to the warehouse. `fuse` counts the commits until it dies at one."""

    def __init__(self, warehouse: Warehouse, fuse: int | None = None, *, dies_after: bool = False) -> None:
        self.warehouse, self.store = warehouse, warehouse.store
        self.fuse, self.dies_after, self.dead = fuse, dies_after, False

    @contextmanager
    def commit(self) -> Iterator[None]:
        if self.dead:
            raise CrashError
        self.dead = self.fuse == 0
        self.fuse = None if self.fuse is None else self.fuse - 1
        if self.dead and not self.dies_after:
            raise CrashError
        yield
        if self.dead:
            raise CrashError


class Table:
    """One table as one process knows it: the part of `streaming.iceberg.IcebergTable` that the writers use."""

    def __init__(self, process: Process, identifier: str, schema: pa.Schema) -> None:
        self.lake, self.identifier, self.arrow_schema = process, identifier, schema
        self.data_location = f"s3://lake/{identifier}/data"
        process.warehouse.tables.setdefault(identifier, Metadata())
        self.refresh()

    def refresh(self) -> None:
        self.metadata = self.lake.warehouse.tables[self.identifier]

    def head(self, branch: str = MAIN) -> int | None:
        return self.metadata.refs.get(branch)

    def position(self, branch: str = MAIN) -> Position | None:
        entries = [snapshot.entry for snapshot in self.metadata.snapshots.values()]
        return position_of(entries, self.head(branch), self.metadata.properties)

    def data_file(self, written: WrittenFile, partition: str = "") -> DataFile:
        return DataFile(written.path, written.size, written.rows, partition)

    data_file_without_bounds = data_file

    def parts(self, rows: pa.Table) -> Iterator[tuple[Sequence[str], pa.Table]]:
        """A partition is a value of the last column, where there are any."""
        if not self.lake.warehouse.partitioned:
            yield (), rows
            return
        last = rows.column(rows.num_columns - 1).to_pylist()
        for value in dict.fromkeys(last):
            yield (repr(value),), rows.filter(pa.array([each == value for each in last]))

    def written(self, written: WrittenFile, values: Sequence[str] = ()) -> LiveFile:
        file = self.data_file(written, ",".join(values))
        return LiveFile(file.path, file.size, file.rows, None, None, None, file, file.partition)

    def delete_file(self, vector: Vector, of: LiveFile) -> Vector:
        assert vector.data_file == of.path
        return vector

    def has_snapshot(self, snapshot_id: int) -> bool:
        return snapshot_id in self.metadata.snapshots

    def live_files(self, key_column: str | None, branch: str = MAIN, *, at: int | None = None) -> Iterator[LiveFile]:
        head = at or self.head(branch)
        for file, vector in self.metadata.snapshots[head].files.values() if head else ():
            lower, upper = _bounds(self.lake.store, file.path, key_column)
            yield LiveFile(file.path, file.size, file.rows, lower, upper, vector, file, file.partition)

    def row_delta(
        self,
        position: Position,
        read: int | None,
        *,
        added: Sequence[DataFile] = (),
        vectors: Sequence[tuple[Vector, Vector | None]] = (),
        removed: Sequence[LiveFile] = (),
        branch: str = MAIN,
        facts: dict[str, str] | None = None,
    ) -> int:
        parent, files = self._start(read, branch)
        for new, old in vectors:
            if files.get(new.data_file, (None, None))[1] != old:
                raise StaleSnapshotError(f"{new.data_file} has another vector")
        for file in removed:
            if file.path not in files or files.pop(file.path)[1] != file.vector:
                raise StaleSnapshotError(f"{file.path} changed")
        files |= {new.data_file: (files[new.data_file][0], new) for new, _ in vectors}
        files |= {file.path: (file, None) for file in added}
        return self._land("overwrite" if vectors or removed else "append", parent, files, position, branch, facts)

    def overwrite(
        self,
        position: Position,
        read: int | None,
        *,
        added: Sequence[DataFile],
        removed: Sequence[LiveFile] | None = None,
        branch: str = MAIN,
        facts: dict[str, str] | None = None,
    ) -> int:
        parent, files = self._start(read, branch)
        for file in removed or ():
            if file.path not in files:
                raise StaleSnapshotError(f"{file.path} is gone")
        gone = files.keys() if removed is None else {file.path for file in removed}
        files = {path: held for path, held in files.items() if path not in gone}
        files |= {file.path: (file, None) for file in added}
        return self._land("overwrite" if added else "delete", parent, files, position, branch, facts)

    def rewrite(
        self,
        position: Position,
        read: int,
        removed: Sequence[LiveFile],
        added: Sequence[DataFile],
        vectors: Sequence[Vector] = (),
    ) -> int:
        parent, files = self._start(read, MAIN)
        for file in removed:
            if file.path not in files or files.pop(file.path)[1] != file.vector:
                raise StaleSnapshotError(f"{file.path} changed")
        files |= {file.path: (file, None) for file in added}
        files |= {new.data_file: (files[new.data_file][0], new) for new in vectors}
        return self._land(REPLACE, parent, files, position, MAIN)

    def adopt_next_generation(self) -> None:
        snapshot = self.metadata.snapshots[self.metadata.refs[NEXT_GENERATION]]
        self._change_refs({MAIN: snapshot.entry.snapshot_id}, snapshot)

    def drop_next_generation(self) -> None:
        if self.head(NEXT_GENERATION) is not None:
            self._change_refs({}, None)

    def _change_refs(self, refs: dict[str, int], saved: Snapshot | None) -> None:
        with self.lake.commit():
            base = self.lake.warehouse.tables[self.identifier]
            if NEXT_GENERATION not in base.refs:
                raise ComponentError(f"{self.identifier}: branch {NEXT_GENERATION} does not exist")
            kept = {name: head for name, head in base.refs.items() if name != NEXT_GENERATION}
            properties = dict(base.properties)
            if saved is not None:
                position = Position.from_json(saved.entry.summary[POSITION_PROPERTY])
                properties[POSITION_PROPERTY] = saved_position(position, saved.entry.snapshot_id)
            self._replace(replace(base, refs={**kept, **refs}, properties=properties))

    def _start(self, read: int | None, branch: str) -> tuple[int | None, dict[str, tuple[DataFile, Vector | None]]]:
        """The head a commit lands on and its files. Refused unless only compactions followed the snapshot `read`."""
        base = self.lake.warehouse.tables[self.identifier]
        parent = at = base.refs.get(branch, base.refs.get(MAIN))
        while at != read:
            if at is None or base.snapshots[at].entry.operation != REPLACE:
                raise StaleSnapshotError(f"{self.identifier}: the head is {parent}, read was {read}")
            at = base.snapshots[at].entry.parent_id
        return parent, dict(base.snapshots[parent].files) if parent else {}

    def _land(
        self,
        operation: str,
        parent: int | None,
        files: Any,
        position: Position,
        branch: str,
        facts: dict[str, str] | None = None,
    ) -> int:
        with self.lake.commit():
            base, new = self.lake.warehouse.tables[self.identifier], next(self.lake.warehouse.ids)
            entry = SnapshotEntry(new, parent, operation, {POSITION_PROPERTY: position.to_json(), **(facts or {})})
            properties = dict(base.properties)
            if branch == MAIN:
                properties[POSITION_PROPERTY] = saved_position(position, new)
            snapshots = {**base.snapshots, new: Snapshot(entry, files)}
            self._replace(Metadata(snapshots, {**base.refs, branch: new}, properties))
        return new

    def _replace(self, metadata: Metadata) -> None:
        self.lake.warehouse.tables[self.identifier] = self.metadata = metadata

    def rows(self, branch: str = MAIN) -> list[dict[str, Any]]:
        """Every live row, as a reader that knows nothing of the stream sees it."""
        found: list[dict[str, Any]] = []
        head = self.head(branch)
        for file, vector in self.metadata.snapshots[head].files.values() if head else ():
            deleted = set(self.lake.store.read_deleted(vector))
            rows = self.lake.store.read_parquet(file.path).to_pylist()
            found += [row for place, row in enumerate(rows) if place not in deleted]
        return found


def _bounds(store: Files, path: str, column: str | None) -> tuple[bytes | None, bytes | None]:
    """Bounds of a column in Iceberg's single-value serialization; long texts truncated, the upper one upwards."""
    if column is None:
        return None, None
    table = store.read_parquet(path, [column])
    kind, extremes = table.schema.field(column).type, pc.min_max(table[column]).as_py()
    if pa.types.is_integer(kind):
        size = kind.bit_width // 8
        return tuple(extremes[side].to_bytes(size, "little", signed=True) for side in ("min", "max"))
    low, high = extremes["min"], extremes["max"]
    if len(high) > BOUND_CHARACTERS:
        high = high[: BOUND_CHARACTERS - 1] + chr(ord(high[BOUND_CHARACTERS - 1]) + 1)
    return low[:BOUND_CHARACTERS].encode(), high.encode()
