"""The verification itself: a common point, then one table after another, its key ranges in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from catalog.errors import HistoryError, LakehouseError
from catalog.history import lake_name
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.verification.barrier import SourcePoint, connect, pass_barrier, source_point, topic_targets
from catalog.verification.changelog import SourcePointTooOldError, replay_changelog, undo_unseen
from catalog.verification.comparison import Comparison, compare_rows
from catalog.verification.coverage import Pinned, wait_covered
from catalog.verification.multiset import compare_multisets
from catalog.verification.report import SHOWN, Difference, Progress, TableReport, VerificationReport
from catalog.verification.source_rows import NOT_HOLDABLE, KeyRange, RangeKey, key_ranges, range_key, read_range
from catalog.verification.staging import quarantined_records, read_staged, staged_mirror
from catalog.verified import keep

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORKERS = 2
ROWS_PER_RANGE = 80_000
ROWS_PER_SCAN = 640_000
"""Larger ranges where Postgres has no index for them and reads the whole table for each."""
Rest = Callable[[], None]
ATTEMPTS = 3


def unwatched(phase: str, table: str, done: int, steps: int) -> None:
    """Progress that nobody looks at."""


def verify(
    settings: Settings,
    tables: Sequence[str] | None = None,
    timeout: float = 120,
    progress: Progress = unwatched,
    rest: Rest | None = None,
    *,
    kept: bool = True,
) -> VerificationReport:
    """Compare the tables, all by default; `timeout` (seconds) bounds the wait for the stream, not the comparison.

    With `rest` one thread does it all, and calls it after each step. What was found is `kept` for those who show it.

    Raises ComponentError when a component does not answer, and VerificationError when the barrier does not come back.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            report = _verify_once(settings, tables, timeout, progress, rest)
        except SourcePointTooOldError:
            if attempt == ATTEMPTS:
                raise
        else:
            if kept:
                keep(settings.state_dir, report)
            return report
    raise AssertionError("unreachable")


def _verify_once(
    settings: Settings, names: Sequence[str] | None, timeout: float, progress: Progress, rest: Rest | None
) -> VerificationReport:
    started = time.monotonic()
    deadline = started + timeout
    with source_point(settings) as point:
        tables = _chosen(point, names)
        progress("barrier", "", 0, 1)
        pass_barrier(settings, deadline)
        targets = topic_targets(settings, [table.topic(settings.topic_prefix) for table in tables])
        progress("barrier", "", 1, 1)
        pinned, lagging = wait_covered(settings, iceberg_catalog(settings), tables, targets, deadline, progress)
        reports = [] if names else [TableReport(name, unverified=str(why)) for name, why in point.refused.items()]
        for table in tables:
            if table.qualified in lagging:
                reports.append(TableReport(table.qualified, unverified=lagging[table.qualified]))
                continue
            try:
                reports.append(verify_table(settings, point, pinned[table.qualified], progress, rest))
            except SourcePointTooOldError:
                raise
            except LakehouseError as failed:
                reports.append(TableReport(table.qualified, unverified=str(failed)))
    return VerificationReport(point.lsn, tuple(reports), time.monotonic() - started)


def _chosen(point: SourcePoint, names: Sequence[str] | None) -> list[SourceTable]:
    tables = point.tables
    if not names:
        return list(tables)
    by_name = {table.mirror: table for table in tables} | {table.qualified: table for table in tables}
    chosen = []
    for name in names:
        table = by_name.get(name) or by_name.get(lake_name(name)) or by_name.get(f"public.{name}")
        if table is None and name in point.refused:
            raise point.refused[name]
        if table is None:
            known = ", ".join(table.qualified for table in tables)
            raise HistoryError(f"the source publishes no table {name}", remedy=f"tables are {known}")
        chosen.append(table)
    return chosen


def verify_table(
    settings: Settings,
    point: SourcePoint,
    pinned: Pinned,
    progress: Progress = unwatched,
    rest: Rest | None = None,
) -> TableReport:
    """Compare one pinned table with the source at a point, and with its changelog. Raises VerificationError."""
    started = time.monotonic()
    source = pinned.source
    with staged_mirror(settings, pinned, threads=1 if rest else None) as lake:
        progress("changelog", source.qualified, 0, 1)
        quarantined, unknown = quarantined_records(lake, source.topic(settings.topic_prefix))
        replay = replay_changelog(lake, pinned)
        undone = undo_unseen(lake, pinned, point)
        progress("changelog", source.qualified, 1, 1)
        if rest:
            rest()
        found = _compare(settings, point, lake, pinned, progress, rest)
    return TableReport(
        source.qualified,
        rows_compared=sum(part.source_rows for part in found),
        differing_rows=sum(part.differing for part in found),
        seconds=time.monotonic() - started,
        changelog_events=replay.events,
        changelog_differing_rows=replay.differing,
        duplicate_events=replay.duplicates,
        undone_events=undone,
        quarantined=quarantined,
        snapshot_id=pinned.mirror_snapshot,
        next_offsets={number: partition.next_offset for number, partition in pinned.position.partitions.items()},
        differences=_first(found),
        changelog_keys=replay.keys,
        unverified=f"{unknown} quarantined records have no readable key: lake quarantine list" if unknown else "",
    )


def _compare(
    settings: Settings,
    point: SourcePoint,
    lake: DuckDBPyConnection,
    pinned: Pinned,
    progress: Progress,
    rest: Rest | None,
) -> list[Comparison]:
    if not pinned.source.key:

        def step(done: int, of: int) -> None:
            progress("rows", pinned.source.qualified, done, of)
            if rest:
                rest()

        return [compare_multisets(point.connection, lake, pinned, SHOWN, step)]
    key = range_key(point.connection, pinned.source)
    size = ROWS_PER_RANGE if key.uses_index else ROWS_PER_SCAN
    cuts = key_ranges(point.connection, pinned.source, key, size)
    free: SimpleQueue[tuple[psycopg.Connection[Any], DuckDBPyConnection]] = SimpleQueue()
    workers = 1 if rest else min(WORKERS, len(cuts))
    with ExitStack() as opened:
        for _ in range(workers):
            free.put((opened.enter_context(_reader(settings, point)), lake.cursor()))

        def compared(cut: KeyRange) -> Comparison:
            reader = free.get()
            try:
                return _compare_range(reader[0], reader[1], pinned, key, cut)
            finally:
                free.put(reader)
                if rest:
                    rest()

        found = []
        pool = opened.enter_context(ThreadPoolExecutor(workers))
        for part in pool.map(compared, cuts):
            found.append(part)
            progress("rows", pinned.source.qualified, len(found), len(cuts))
    return found


def _compare_range(
    connection: psycopg.Connection[Any], lake: DuckDBPyConnection, pinned: Pinned, key: RangeKey, cut: KeyRange
) -> Comparison:
    source_rows = read_range(connection, pinned.source, key, cut)
    lake_rows = read_staged(lake, pinned, cut)
    if NOT_HOLDABLE in source_rows.column_names:
        lake_rows = lake_rows.append_column(NOT_HOLDABLE, [[None] * lake_rows.num_rows])
        lake_rows = lake_rows.cast(source_rows.schema)
    return compare_rows(lake_rows, source_rows, pinned.source.key, SHOWN)


def _reader(settings: Settings, point: SourcePoint) -> psycopg.Connection[Any]:
    """A further connection in the exported snapshot."""
    connection = connect(settings)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(point.name)))
    return connection


def _first(parts: Sequence[Comparison]) -> tuple[Difference, ...]:
    return tuple(difference for part in parts for difference in part.differences)[:SHOWN]
