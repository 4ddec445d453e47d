"""Which snapshot a table is set back to, and which tables may be: those whose commits say nothing of other tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.errors import HistoryError
from catalog.history import parse_instant, snapshot_at, table_history
from catalog.source import NAMESPACE
from catalog.tables import TABLES
from catalog.tables.cdc import POSITION_PROPERTY
from catalog.time_travel import parse_point

if TYPE_CHECKING:
    from pyiceberg.table import Table


def snapshot_to_keep(table: Table, point: str) -> int:
    """The snapshot of a table at a point: an id, a time, or an LSN that it had come to. Raises HistoryError."""
    name = ".".join(table.name())
    as_of = parse_point(point)
    if as_of is None:
        raise HistoryError(f"{name} is as it is now", remedy=f"lake history {name} lists its snapshots")
    if as_of.kind == "time":
        return snapshot_at(table, parse_instant(as_of.value))
    line = table_history(table)
    if as_of.kind == "snapshot":
        found = [entry for entry in line if entry.snapshot_id == int(as_of.value)]
    else:
        found = [entry for entry in line if entry.lsn is not None and entry.lsn <= int(as_of.value)]
    if not found:
        raise HistoryError(f"the history of {name} holds no such snapshot as {point}", remedy=f"lake history {name}")
    return found[0].snapshot_id


def require_batch_table(table: Table) -> None:
    """Refuse a table that the stream writes and that is no mirror: its rows say how far others are."""
    name = ".".join(table.name())
    written_by_stream = {each.identifier for each in TABLES if each.writer == "the stream"}
    if name.split(".")[0] == NAMESPACE or POSITION_PROPERTY in table.properties or name in written_by_stream:
        remedy = "it follows its mirror by itself" if name in written_by_stream else "lake rollback its mirror"
        raise HistoryError(f"{name} belongs to the stream and is not set back", remedy=remedy)
