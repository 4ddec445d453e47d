"""Waits until mirrors and changelogs have reached a point of their topics, and pins the snapshots that have."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from catalog.errors import LakehouseError, VerificationError
from catalog.history import snapshot_entries
from catalog.positions import Position, position_of
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.tables.cdc import NEXT_GENERATION
from catalog.verification.report import Progress

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

SECONDS_BETWEEN_LOOKS = 0.25
STATUS_FILE = "stream.json"


@dataclass(frozen=True)
class Pinned:
    """Snapshots of one table's mirror and changelog; the changelog is at least as far as the mirror's `position`.

    A snapshot is None, and the table empty, where its topic never held a record.
    """

    source: SourceTable
    mirror: Table
    changelog: Table
    mirror_snapshot: int | None
    changelog_snapshot: int | None
    position: Position


def wait_covered(
    settings: Settings,
    catalog: Catalog,
    tables: Sequence[SourceTable],
    targets: Mapping[str, Mapping[int, int]],
    deadline: float,
    progress: Progress,
) -> tuple[dict[str, Pinned], dict[str, str]]:
    """Pin each table that covers its topic's target; for each that does not by the deadline, say why."""
    waiting = {table.qualified: table for table in tables}
    pinned: dict[str, Pinned] = {}
    reasons: dict[str, str] = {}
    while waiting:
        status = stream_status(settings)
        for name, table in list(waiting.items()):
            target = targets[table.topic(settings.topic_prefix)]
            try:
                pinned[name] = pin(catalog, table, target)
                del waiting[name]
            except LakehouseError as lagging:
                reasons[name] = _explained(lagging, status.get(table.qualified, {}))
        progress("position", ", ".join(sorted(waiting)), len(pinned), len(tables))
        if waiting and time.monotonic() > deadline:
            break
        if waiting:
            time.sleep(SECONDS_BETWEEN_LOOKS)
    return pinned, {name: reasons[name] for name in waiting}


def _explained(lagging: LakehouseError, status: Mapping[str, Any]) -> str:
    if status.get("state") != "stopped":
        return str(lagging)
    return f"the stream stopped this table: {status.get('reason')}\n  → {status.get('remedy')}"


def pin(catalog: Catalog, source: SourceTable, target: Mapping[int, int]) -> Pinned:
    """Pin the current snapshots. Raises VerificationError when one is missing, under construction or behind."""
    mirror, at, mirror_snapshot = _head(catalog, source.mirror)
    _require_covered(source.mirror, at, target)
    changelog, changelog_at, changelog_snapshot = _head(catalog, source.changelog)
    _require_covered(source.changelog, changelog_at, _reached(at, target))
    if mirror_snapshot is None:
        at = replace(at, generation=changelog_at.generation)
    return Pinned(source, mirror, changelog, mirror_snapshot, changelog_snapshot, at)


def _reached(at: Position, target: Mapping[int, int]) -> dict[int, int]:
    """What the changelog must cover: the target, and each event that the mirror has."""
    return {number: max(target.get(number, 0), partition.next_offset) for number, partition in at.partitions.items()}


def stream_status(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the streaming job last wrote about its tables, by `schema.table`; empty without its status file."""
    try:
        status: dict[str, Any] = json.loads((settings.state_dir / STATUS_FILE).read_text())
    except (OSError, ValueError):
        return {}
    tables: dict[str, dict[str, Any]] = status.get("tables") or {}
    return tables


def _head(catalog: Catalog, name: str) -> tuple[Table, Position, int | None]:
    from pyiceberg.exceptions import NoSuchTableError

    try:
        table = catalog.load_table(name)
    except NoSuchTableError as missing:
        raise VerificationError(f"table {name} does not exist yet", remedy="lake status") from missing
    if NEXT_GENERATION in table.metadata.refs:
        raise VerificationError(f"table {name} is being copied", remedy="wait for the copy: lake status shows it")
    head = table.metadata.current_snapshot_id
    position = position_of(snapshot_entries(table), head, table.properties)
    if position is None and head is not None:
        raise VerificationError(f"table {name} carries no position", remedy=f"lake history {name}; lake resync")
    return table, position or Position(""), head


def _require_covered(name: str, position: Position, target: Mapping[int, int]) -> None:
    for partition, offset in target.items():
        if position.next_offset(partition) < offset:
            raise VerificationError(
                f"table {name} is at offset {position.next_offset(partition)} of {offset} in partition {partition}",
                remedy="lake status; lake logs stream",
            )
