"""What the lake still tells of the past once all is healed: as of commits, and whether every file of it is there."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pyarrow.fs import FileType
from pyiceberg.manifest import ManifestFile

from catalog.errors import HistoryError
from catalog.files import s3_files
from catalog.history import load_table, lsn_number, lsn_text
from catalog.lsn import Fold, fold_at
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import Settings
from catalog.source import SourceTable
from conformance.oracle import Event, Row, as_row
from conformance.outcome import Report

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog import Catalog

MOMENTS = 10
"""Commits per table."""


def compare_moments(
    settings: Settings, table: SourceTable, expected: Sequence[tuple[int, Event]], after: int, report: Report
) -> None:
    """The mirror as of random commits after an LSN, as DuckDB folds it, must be what the decoder's events make.

    The last commit is left out: that it was one, the lake learns from the next.
    """
    commits = sorted({commit for commit, _ in expected if commit > after})[:-1]
    chosen = set(random.Random(report.seed).sample(commits, min(MOMENTS, len(commits))))
    catalog = iceberg_catalog(settings)
    with duckdb_connection(settings) as duckdb:
        for commit, rows in held(expected).items():
            if commit in chosen:
                query = _fold(catalog, duckdb, table.mirror, commit).sql('"')
                found = [as_row(row) for row in duckdb.execute(query).to_arrow_table().to_pylist()]
                report.moments += 1
                if sorted(found) != rows:
                    report.reasons.append(
                        f"{table.qualified} as of lsn:{lsn_text(commit)} has {len(found)} rows; the decoder makes"
                        f" {len(rows)}, {len(set(rows) ^ set(found))} of either alone"
                    )


def held(expected: Sequence[tuple[int, Event]]) -> dict[int, list[Row]]:
    """The rows after each commit, in order, of a table that was empty before the first."""
    rows: dict[tuple[str | None, ...], Row] = {}
    after: dict[int, list[Row]] = {}
    for commit, event in expected:
        if event.op == "t":
            rows.clear()
        elif event.row is None:
            rows.pop(event.key, None)
        else:
            rows[event.key] = event.row
        after[commit] = sorted(rows.values())
    return after


def _fold(catalog: Catalog, duckdb: DuckDBPyConnection, mirror: str, lsn: int) -> Fold:
    """As of a commit; where the lake cannot tell on which side of it a transaction lies, as of the one with it."""
    try:
        return fold_at(catalog, duckdb, mirror, lsn)
    except HistoryError as doubtful:
        with_it = re.search(r"lsn:(\S+) is with it", doubtful.remedy or "")
        if with_it is None:
            raise
        return fold_at(catalog, duckdb, mirror, lsn_number(with_it[1]))


def look_for_files(settings: Settings, table: str, report: Report) -> None:
    """Every file that a snapshot of a table refers to must be in the store.

    The stream goes on expiring snapshots: a file counts as missing if the table still refers to it afterwards.
    """
    referenced, store = _referenced(settings, table), s3_files(settings)
    missing = {info.path for info in store.get_file_info(sorted(referenced)) if info.type == FileType.NotFound}
    if missing:
        missing &= _referenced(settings, table)
    report.files += len(referenced)
    report.reasons += [f"{table} refers to a file that is not there: {path}" for path in sorted(missing)]


def _referenced(settings: Settings, table: str) -> set[str]:
    """Data files, vectors, manifests and their lists, of all snapshots; what they share is read once."""
    loaded = load_table(iceberg_catalog(settings), table)
    paths, manifests = set[str](), dict[str, ManifestFile]()
    for snapshot in loaded.snapshots():
        paths.add(snapshot.manifest_list)
        with suppress(OSError):  # one that is gone is among the paths
            manifests |= {each.manifest_path: each for each in snapshot.manifests(loaded.io)}
    for path, manifest in manifests.items():
        paths.add(path)
        with suppress(OSError):
            paths |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(loaded.io)}
    return {path.partition("://")[2] for path in paths}
