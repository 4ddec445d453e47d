"""Files rewritten beside the epochs: small ones together, worn ones without their deleted rows.

A thread reads and writes; between two epochs the new files are put in the place of the old ones, and what was deleted
meanwhile is carried over as their vectors. So a rewrite holds no epoch up for longer than a commit takes, and none is
in vain because its rows were changed. It changes no row and carries the position.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from pyroaring import BitMap

from catalog.errors import StaleSnapshotError
from streaming.changelog import Changelog
from streaming.errands import FAILURES
from streaming.files import MirrorFile
from streaming.iceberg import LiveFile, written_live
from streaming.marking import mark, without
from streaming.merging import due
from streaming.mirror import Mirror
from streaming.shape import shaped
from streaming.table import TableStream
from streaming.writer import TableWriter

log = structlog.get_logger()

_AT_ONCE = 4
"""Files that are read side by side: epochs need the store too."""
_SHARE_OF_TIME = 1 / 5
_PAUSE_SECONDS = 30.0
"""After a rewrite that failed."""


class Rewritten(Protocol):
    """New files of a table that no snapshot refers to yet."""

    @property
    def writer(self) -> TableWriter:
        """The table's writer when they were written."""

    def put_in_place(self) -> int:
        """Commit them; returns how many files went, none where others have changed too much. No epoch may run."""


@dataclass(frozen=True)
class RewrittenMirror:
    """Files of a mirror and the rows deleted in them when they were read; `places` says by old file where each row
    lies in the new files laid end to end, -1 for the deleted ones.
    """

    writer: Mirror
    old: Sequence[MirrorFile]
    deleted: Sequence[BitMap]
    places: Sequence[np.ndarray]
    new: Sequence[MirrorFile]

    def put_in_place(self) -> int:
        """As Rewritten says."""
        now = [self.writer.files[file.path] for file in self.old if file.path in self.writer.files]
        try:
            if len(now) == len(self.old):
                self.writer.replace_files(now, list(self._with_vectors(self._gone(now))))
                return len(now)
        except StaleSnapshotError as refused:
            _give_up(self.writer, refused)
        self.writer.forget_keys(self.new)
        return 0

    def _gone(self, now: Sequence[MirrorFile]) -> np.ndarray:
        """Places of the rows deleted since: of files that are still there more and more are."""
        store, gone = self.writer.table.lake.store, [np.empty(0, np.int64)]
        for file, before, places in zip(now, self.deleted, self.places, strict=True):
            gone.append(places[np.frombuffer((file.deleted(store) - before).to_array(), np.uint32)])
        return np.sort(np.concatenate(gone))

    def _with_vectors(self, gone: np.ndarray) -> Iterator[MirrorFile]:
        store, location, start = self.writer.table.lake.store, self.writer.table.data_location, 0
        for file in self.new:
            end = start + file.live.rows
            mine = gone[np.searchsorted(gone, start) : np.searchsorted(gone, end)] - start
            made = mark(store, location, file.path, mine.astype(np.uint32), BitMap())
            yield file.replaced(*made) if made else file
            start = end


@dataclass(frozen=True)
class RewrittenHour:
    """Files of one hour of a changelog, and the one that holds their rows."""

    writer: Changelog
    hour: int
    old: Sequence[LiveFile]
    new: LiveFile

    def put_in_place(self) -> int:
        """As Rewritten says."""
        changelog, gone = self.writer, {file.path for file in self.old}
        held = changelog.recent.get(self.hour, [])
        if changelog.head is None or gone - {file.path for file in held}:
            return 0
        try:
            changelog.head = changelog.table.rewrite(changelog.committed, changelog.head, self.old, [self.new.java])
        except StaleSnapshotError as refused:
            changelog.recent.pop(self.hour)
            _give_up(changelog, refused)
            return 0
        changelog.recent[self.hour] = [*(file for file in held if file.path not in gone), self.new]
        return len(self.old)


def mirror_job(mirror: Mirror, threshold: int) -> Callable[[], RewrittenMirror] | None:
    """The next rewrite of a mirror, of files of one partition, to be run in any thread; None where none is due."""
    if mirror.position is None or mirror.is_copying:
        return None
    parts: dict[str, list[LiveFile]] = defaultdict(list)
    for file in mirror.files.values():
        parts[file.live.partition].append(file.live)
    chosen = max((due(files, threshold) for files in parts.values()), key=len, default=[])
    return partial(_rewrite_mirror, mirror, [mirror.files[file.path] for file in chosen]) if chosen else None


def changelog_job(changelog: Changelog, threshold: int) -> Callable[[], RewrittenHour] | None:
    """The next rewrite of this run's files of a changelog, as `mirror_job`."""
    for hour, files in changelog.recent.items():
        if chosen := due(files, threshold):
            return partial(_rewrite_hour, changelog, hour, chosen)
    return None


def _rewrite_mirror(mirror: Mirror, old: Sequence[MirrorFile]) -> RewrittenMirror:
    store = mirror.table.lake.store
    deleted = [file.deleted(store) for file in old]
    parts = _live_rows(mirror, [file.live for file in old], deleted)
    rows = pa.concat_tables(parts)
    order = np.arange(len(rows))
    if mirror.source.key:
        order = pc.sort_indices(rows, [(name, "ascending") for name in mirror.source.key]).to_numpy()
    place_of = np.empty(len(rows), np.int64)
    place_of[order] = np.arange(len(rows))
    places, start = [], 0
    for file, gone, part in zip(old, deleted, parts, strict=True):
        mine = np.full(file.live.rows, -1, np.int64)
        alive = np.ones(file.live.rows, dtype=bool)
        alive[np.frombuffer(gone.to_array(), np.uint32)] = False
        mine[alive] = place_of[start : start + len(part)]
        places.append(mine)
        start += len(part)
    return RewrittenMirror(mirror, old, deleted, places, mirror.write_whole(rows.take(order)))


def _rewrite_hour(changelog: Changelog, hour: int, old: Sequence[LiveFile]) -> RewrittenHour:
    rows = pa.concat_tables(_live_rows(changelog, old, [BitMap() for _ in old]))
    written = changelog.write_hour(hour, rows.sort_by([("generation", "ascending"), ("topic_offset", "ascending")]))
    return RewrittenHour(changelog, hour, old, written_live(written, changelog.data_file(written, hour)))


def _live_rows(writer: TableWriter, files: Sequence[LiveFile], deleted: Sequence[BitMap]) -> list[pa.Table]:
    store, schema = writer.table.lake.store, writer.table.arrow_schema

    def read(file: LiveFile, gone: BitMap) -> pa.Table:
        return shaped(without(store.read_parquet(file.path, size=file.size), gone), schema)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(read, files, deleted))


def _give_up(writer: TableWriter, refused: StaleSnapshotError) -> None:
    log.info("rewrite refused, left for later", table=writer.table.identifier, why=str(refused))
    writer.catch_up()


class Compactor:
    """One rewrite at a time over all tables, at most a fifth of the time."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._thread = ThreadPoolExecutor(1, "compaction")
        self._under_way: Future[Rewritten] | None = None
        self._began = self._not_before = 0.0
        self._turn = 0

    def between_epochs(self, streams: Collection[TableStream]) -> None:
        """Put in place what is ready, and begin what is due. No epoch may run."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            done, self._under_way = self._under_way, None
            self._finish(done, streams)
        if time.monotonic() < self._not_before:
            return
        jobs = [job for stream in streams for job in _jobs(stream, self._threshold)]
        if jobs:
            self._turn += 1
            self._began = time.monotonic()
            self._under_way = self._thread.submit(jobs[self._turn % len(jobs)])

    def _finish(self, done: Future[Rewritten], streams: Collection[TableStream]) -> None:
        now = time.monotonic()
        if (failure := done.exception()) is not None:
            unforeseen = not isinstance(failure, FAILURES)
            log.error("a rewrite failed, tried again later", failure=str(failure), exc_info=unforeseen and failure)
            self._not_before = now + _PAUSE_SECONDS
            return
        rewritten = done.result()
        if any(rewritten.writer in (stream.mirror, stream.changelog) for stream in streams):
            rewritten.put_in_place()
        self._not_before = now + (now - self._began) * (1 / _SHARE_OF_TIME - 1)


def _jobs(stream: TableStream, threshold: int) -> Iterator[Callable[[], Rewritten]]:
    for job in (mirror_job(stream.mirror, threshold), changelog_job(stream.changelog, threshold)):
        if job is not None:
            yield job
