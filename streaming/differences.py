"""What changed in a mirror between two of its snapshots, told from its files alone: rows gone and rows come.

A row is gone where its file is, or where a deletion vector now names it. So the difference is exact whatever brought
it about (updates, key changes, truncates, replays, merges), and it costs what was changed: merged files cancel out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from catalog.positions import Position
from streaming.files import MirrorFile, mirror_file
from streaming.iceberg import IcebergTable
from streaming.store import Store


@dataclass(frozen=True)
class View:
    """A mirror at one of its snapshots: the position and the live files by path."""

    snapshot: int
    position: Position
    files: Mapping[str, MirrorFile]

    def is_before(self, position: Position) -> bool:
        """Whether it stands lower in the same topic: another driver has come further."""
        mine = self.position
        same = (mine.topic_id, mine.generation) == (position.topic_id, position.generation)
        return same and any(at.next_offset < position.next_offset(part) for part, at in mine.partitions.items())


@dataclass(frozen=True)
class Part:
    """Rows of one data file that came (`sign` 1) or went (-1); all of them where `rows` is None."""

    path: str
    rows: np.ndarray | None
    sign: int


def view_at(table: IcebergTable, position: Position) -> View | None:
    """The snapshot of the mirror that another table was made from; None where it is gone."""
    if position.made_from is None or not table.has_snapshot(position.made_from):
        return None
    files = {live.path: mirror_file(live, pa.null()) for live in table.live_files(None, at=position.made_from)}
    return View(position.made_from, position, files)


def difference(before: View | None, after: View, store: Store) -> Iterator[Part]:
    """What came and went; every row comes where there is nothing before."""
    earlier = {} if before is None else before.files
    for path, file in after.files.items():
        old = earlier.get(path)
        if old is None:
            yield Part(path, _alive(file, store), 1)
        elif old.vector != file.vector:
            was, now = old.deleted(store), file.deleted(store)
            for rows, sign in ((now - was, -1), (was - now, 1)):
                if rows:
                    yield Part(path, _places(rows), sign)
    for path, file in earlier.items():
        if path not in after.files:
            yield Part(path, _alive(file, store), -1)


def _alive(file: MirrorFile, store: Store) -> np.ndarray | None:
    if file.vector is None:
        return None
    alive = np.ones(file.live.rows, dtype=bool)
    alive[_places(file.deleted(store))] = False
    return np.flatnonzero(alive)


def _places(rows: BitMap) -> np.ndarray:
    return np.frombuffer(rows.to_array(), dtype=np.uint32).astype(np.int64)
