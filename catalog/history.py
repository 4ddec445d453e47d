"""A table's snapshots with their positions, and the snapshot that was current at a time. All from table metadata."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from catalog.errors import HistoryError
from catalog.positions import REPLACE, Position, SnapshotEntry
from catalog.settings import CATALOG
from catalog.source import NAMESPACE
from catalog.tables.cdc import POSITION_PROPERTY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

_AGO = re.compile(r"-(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class HistoryEntry:
    """One snapshot. Rows are live rows; `lsn` is the highest WAL position applied, None where none is known."""

    snapshot_id: int
    committed_at: datetime
    operation: str
    next_offsets: dict[int, int]
    lsn: int | None
    rows_added: int
    rows_deleted: int
    rows_total: int
    is_current: bool

    def as_json(self) -> dict[str, Any]:
        """Its JSON form; the LSN as a number and as Postgres writes it."""
        return {
            "snapshot_id": self.snapshot_id,
            "committed_at": self.committed_at.isoformat(),
            "operation": self.operation,
            "next_offsets": {str(partition): offset for partition, offset in self.next_offsets.items()},
            "lsn": self.lsn,
            "lsn_text": lsn_text(self.lsn) if self.lsn is not None else None,
            "rows_added": self.rows_added,
            "rows_deleted": self.rows_deleted,
            "rows_total": self.rows_total,
            "is_current": self.is_current,
        }


def lsn_text(lsn: int) -> str:
    """An LSN as Postgres writes it, `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The number of an LSN that Postgres wrote."""
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def lake_name(name: str) -> str:
    """`namespace.table` of what people write: `trips`, `public.trips`, `taxi_cdc.trips`, `iceberg.taxi_cdc.trips`."""
    parts = name.replace('"', "").replace("`", "").split(".")
    if parts[0] == CATALOG and len(parts) > 2:
        parts = parts[1:]
    if parts[0] == "public" and len(parts) == 2:
        parts = parts[1:]
    return ".".join(parts if len(parts) > 1 else [NAMESPACE, *parts])


def all_tables(catalog: Catalog) -> list[str]:
    """`namespace.table` of every table of the lake, in order."""
    return sorted(".".join(name) for space in catalog.list_namespaces() if space for name in catalog.list_tables(space))


def load_table(catalog: Catalog, name: str) -> Table:
    """The table by any of its names. Raises HistoryError, which lists those that exist."""
    from pyiceberg.exceptions import NoSuchTableError

    identifier = lake_name(name)
    try:
        return catalog.load_table(identifier)
    except NoSuchTableError as missing:
        known = ", ".join(all_tables(catalog))
        remedy = f"tables are {known}" if known else "no table exists yet: lake status shows the stream"
        raise HistoryError(f"there is no table {identifier}", remedy=remedy) from missing


def snapshot_entries(table: Table) -> list[SnapshotEntry]:
    """The table's snapshots as the rules on positions need them."""
    return [
        SnapshotEntry(s.snapshot_id, s.parent_snapshot_id, _operation(s), dict(s.summary.additional_properties))
        for s in table.metadata.snapshots
        if s.summary is not None
    ]


def table_history(table: Table, limit: int | None = None) -> list[HistoryEntry]:
    """The snapshots of the table's main line, newest first."""
    metadata = table.metadata
    by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    found: list[HistoryEntry] = []
    at = metadata.current_snapshot_id
    while at is not None and at in by_id and (limit is None or len(found) < limit):
        snapshot = by_id[at]
        found.append(_entry(snapshot, _position(snapshot, by_id, table.properties), at == metadata.current_snapshot_id))
        at = snapshot.parent_snapshot_id
    return found


def snapshot_at(table: Table, when: datetime) -> int:
    """The id of the snapshot that was current at an instant. Raises HistoryError when there was none."""
    moment = int(when.timestamp() * 1000)
    log = sorted(table.metadata.snapshot_log, key=lambda entry: entry.timestamp_ms)
    earlier = [entry for entry in log if entry.timestamp_ms <= moment]
    name = ".".join(table.name())
    if not earlier:
        first = f"its history begins {_instant(log[0].timestamp_ms).isoformat()}" if log else "it has no snapshot"
        raise HistoryError(f"{name} had no rows at {when.isoformat()}: {first}", remedy=f"lake history {name}")
    chosen = int(earlier[-1].snapshot_id)
    if table.snapshot_by_id(chosen) is None:
        raise HistoryError(
            f"the snapshot of {name} at {when.isoformat()} has expired",
            remedy=f"lake history {name} lists what is kept",
        )
    return chosen


def parse_instant(text: str, now: datetime | None = None) -> datetime:
    """An ISO 8601 time, UTC unless it names a zone, or a time ago such as `-5m`. Raises HistoryError."""
    try:
        if match := _AGO.fullmatch(text):
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as wrong:
        raise HistoryError(
            f"{text!r} is no time", remedy="write time:2026-01-31T12:00:00Z, or time:-5m for five minutes ago"
        ) from wrong
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _entry(snapshot: Snapshot, position: Position | None, is_current: bool) -> HistoryEntry:
    summary = snapshot.summary.additional_properties if snapshot.summary else {}
    counted = {name: int(value) for name, value in summary.items() if value.lstrip("-").isdigit()}
    deleted = counted.get("added-position-deletes", 0) - counted.get("removed-position-deletes", 0)
    return HistoryEntry(
        snapshot.snapshot_id,
        _instant(snapshot.timestamp_ms),
        _operation(snapshot) or "",
        {number: partition.next_offset for number, partition in position.partitions.items()} if position else {},
        position.lsn if position else None,
        counted.get("added-records", 0),
        counted.get("deleted-records", 0) + deleted,
        counted.get("total-records", 0) - counted.get("total-position-deletes", 0),
        is_current,
    )


def _position(snapshot: Snapshot, by_id: dict[int, Snapshot], properties: dict[str, str]) -> Position | None:
    saved = json.loads(properties.get(POSITION_PROPERTY, "null"))
    at: Snapshot | None = snapshot
    while at is not None and at.summary is not None:
        if text := at.summary.additional_properties.get(POSITION_PROPERTY):
            return Position.from_json(text)
        if saved is not None and saved["snapshot_id"] == at.snapshot_id:
            return Position.from_json(saved["position"])
        if _operation(at) != REPLACE or at.parent_snapshot_id is None:
            return None
        at = by_id.get(at.parent_snapshot_id)
    return None


def _operation(snapshot: Snapshot) -> str | None:
    return str(snapshot.summary.operation.value) if snapshot.summary else None


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
