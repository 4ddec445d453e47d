"""Drivers that bring a topic into the tables: any slices, any replays, dying at any commit, two at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from catalog.errors import ComponentError
from catalog.positions import OffsetRange, Position
from catalog.tables.cdc import QUARANTINE_SCHEMA, changelog_schema, mirror_schema
from streaming.changelog import Changelog
from streaming.compaction import Rewritten, changelog_job, mirror_job
from streaming.files import KeyCache
from streaming.marking import mark_all
from streaming.mirror import Mirror
from streaming.quarantine import Quarantine
from streaming.table import TableStream
from streaming.writer import FencedError
from streaming_model.lake import CrashError, Process, Table, Warehouse
from streaming_model.source import Source
from streaming_model.writers import DictMirror

TOPIC_ID = "topic-1"


class Turns(Executor):
    """Runs jobs at once and one after the other; of a pair the second first if `last_first`."""

    def __init__(self, *, last_first: bool = False) -> None:
        self._last_first = last_first
        self._held: Callable[[], None] | None = None

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*arguments, **named))
            except Exception as failure:  # noqa: BLE001 - an executor hands every failure on
                future.set_exception(failure)

        if self._last_first and self._held is None:
            self._held = run
            return future
        run()
        if self._held is not None:
            self._held()
            self._held = None
        return future


class TasksInPlace:
    """Does at once what tasks would do."""

    def __init__(self, store: Any) -> None:
        self._store = store

    are_elsewhere = True

    def mark_all(self, *work: Any) -> list[Any]:
        return list(mark_all(self._store, *work))

    def write_all(self, location: str, pieces: Any) -> list[Any]:
        return [self._store.write_parquet(location, piece) for piece in pieces]


class UnchangedSchemas:
    """The source's schema never changes."""

    def follow(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Step:
    """One epoch of one driver: how far before its position it starts, its length, and the commit it dies at."""

    driver: int = 0
    back: int = 0
    length: int = 1000
    fuse: int | None = None
    dies_after: bool = False
    mirror_first: bool = False
    merges: bool = False


_step = st.builds(
    Step,
    driver=st.integers(0, 1),
    back=st.integers(0, 12),
    length=st.integers(1, 14),
    fuse=st.none() | st.integers(0, 5),
    dies_after=st.booleans(),
    mirror_first=st.booleans(),
    merges=st.booleans(),
)
steps = st.sampled_from([0, 5, 10]).flatmap(lambda least: st.lists(_step, min_size=least, max_size=16))


def tables(process: Process, source: Source) -> tuple[Table, Table, Table]:
    """Mirror, changelog and quarantine as a process reads them now."""
    schemas = (mirror_schema(source.table), changelog_schema(source.table), QUARANTINE_SCHEMA)
    mirror, changelog, quarantine = (
        Table(process, name, schema)
        for name, schema in zip(("mirror", "changelog", "quarantine"), schemas, strict=True)
    )
    return mirror, changelog, quarantine


class Driver:
    """A streaming driver; whatever ends it, it starts again from what the tables say."""

    def __init__(self, warehouse: Warehouse, source: Source, *, cache: int, as_dict: bool = False) -> None:
        self._warehouse, self._source, self._cache, self._as_dict = warehouse, source, cache, as_dict
        self._stream: TableStream | None = None
        self._rewritten: list[Rewritten] = []

    def run(self, step: Step) -> None:
        """Apply one epoch, if it can."""
        process: Process | None = None
        try:
            if self._stream is None:
                self._stream, self._rewritten = self._open(), []
            process = self._stream.mirror.table.lake
            process.fuse, process.dies_after = step.fuse, step.dies_after
            self._apply(self._stream, step)
            process.fuse = None
        except (CrashError, FencedError, ComponentError):
            self._stream = None

    def _open(self) -> TableStream:
        process = Process(self._warehouse)
        mirror_table, changelog_table, quarantine_table = tables(process, self._source)
        table = self._source.table
        tasks: Any = TasksInPlace(process.store)
        mirror: Any = Mirror(mirror_table, table, KeyCache(self._cache), Turns(), tasks)
        if self._as_dict:
            mirror = DictMirror(mirror_table, table)
        changelog, quarantine = Changelog(changelog_table), Quarantine(quarantine_table)
        for writer in (mirror, changelog, quarantine):
            writer.load()
        for writer in (mirror, changelog):
            writer.position = writer.position or Position(TOPIC_ID)
        return TableStream(table, "lakehouse.things", TOPIC_ID, changelog, mirror, quarantine, UnchangedSchemas())

    def _apply(self, stream: TableStream, step: Step) -> None:
        at = stream.lowest(0)
        start, end = max(0, at - step.back), min(at + step.length, self._source.offset)
        while end in self._source.uncuttable:
            end += 1
        records = self._source.slice(start, end)
        stream.apply(records, [OffsetRange(0, start, end)], Turns(last_first=step.mirror_first))
        if step.merges:
            self._rewrite(stream)

    def _rewrite(self, stream: TableStream) -> None:
        """Put in place what was rewritten some epochs ago, and rewrite what is due now."""
        for rewritten in self._rewritten:
            rewritten.put_in_place()
        jobs = [changelog_job(stream.changelog, 2), None if self._as_dict else mirror_job(stream.mirror, 2)]
        self._rewritten = [job() for job in jobs if job]

    @property
    def finished(self) -> bool:
        """True when both tables are at the topic's end."""
        return self._stream is not None and self._stream.lowest(0) >= self._source.offset
