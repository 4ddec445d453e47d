"""Which snapshot each table stands at, as the REST catalog says: what every answer is pinned to and told with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, RESTError
from requests import RequestException

from catalog.errors import ComponentError, HistoryError
from catalog.history import HistoryEntry, all_tables, snapshot_at, table_history
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from serving.api.problems import ProblemError

if TYPE_CHECKING:
    from pyiceberg.catalog.rest import RestCatalog
    from pyiceberg.table import Table

FRESH_SECONDS = 1.0
"""How long the catalog is not asked again about a table's present snapshot."""

ROW_IDS_FROM = 3
"""The format of Iceberg's that gave rows their ids."""

KNOWN_SECONDS = 30.0
"""How long a table that was listed is taken to be there without listing again; one that is gone has no head."""


@dataclass(frozen=True)
class Head:
    """A table at one snapshot. `exists` is False where the lake has no such table, `entry` None where it has no rows.

    `columns` are that snapshot's schema: each name with its Iceberg type. Rows have ids from Iceberg's format 3 on.
    """

    table: str
    exists: bool = False
    entry: HistoryEntry | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    has_row_ids: bool = False

    @property
    def snapshot_id(self) -> int | None:
        """The snapshot, None where the table has none."""
        return self.entry.snapshot_id if self.entry else None

    def why_empty(self) -> str | None:
        """Why there can be no rows; None where there may be some."""
        if not self.exists:
            return f"no data yet: table {self.table} has not been made"
        return None if self.entry else f"no data yet: nothing was written to table {self.table}"

    def as_json(self, now: datetime) -> dict[str, Any]:
        """What an answer says of it. Snapshot ids are text, since JavaScript's numbers cannot hold them."""
        entry = self.entry
        if entry is None:
            return {"table": self.table, "snapshot_id": None, "committed_at": None, "age_seconds": None,
                    "position": None}  # fmt: skip
        described = entry.as_json()
        position = {name: described[name] for name in ("next_offsets", "lsn", "lsn_text")}
        return {
            "table": self.table,
            "snapshot_id": str(entry.snapshot_id),
            "committed_at": entry.committed_at,
            "age_seconds": round(max(0.0, (now - entry.committed_at).total_seconds()), 3),
            "position": position if entry.next_offsets else None,
        }


class Heads:
    """Asks the REST catalog; what it said of a table's present is kept for a second. Threads may share one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog: RestCatalog | None = None
        self._kept: dict[str, tuple[float, Head]] = {}
        self._names: tuple[float, list[str]] = (-KNOWN_SECONDS, [])

    def of(self, table: str, snapshot: int | None = None, *, within: float = FRESH_SECONDS) -> Head:
        """The table at its present snapshot, as of `within` seconds, or at the one named.

        Raises ProblemError where that is gone.
        """
        if snapshot is not None:
            return self._at(table, snapshot)
        kept = self._kept.get(table)
        if kept is not None and time.monotonic() - kept[0] < within:
            return kept[1]
        asked = time.monotonic()
        loaded = self._load(table)
        head = _head(loaded, table) if loaded is not None else Head(table)
        self._kept[table] = (asked, head)
        return head

    def as_of(self, table: str, moment: datetime | int) -> Head:
        """The table at a time or snapshot. One that had no rows yet at that time is empty, which is no error."""
        loaded = self._load(table)
        if loaded is None:
            return Head(table)
        if isinstance(moment, int):
            return self._at(table, moment, loaded)
        if _began_after(loaded, moment):
            return replace(_head(loaded, table), entry=None)
        try:
            return self._at(table, snapshot_at(loaded, moment), loaded)
        except HistoryError as gone:
            raise ProblemError("snapshot-gone", str(gone.args[0])) from gone

    def since(self, table: str, moment: datetime) -> list[HistoryEntry]:
        """Snapshots of a table's main line committed since then, newest first; none where there is no such table."""
        loaded = self._load(table)
        entries = table_history(loaded) if loaded is not None else []
        return [entry for entry in entries if entry.committed_at >= moment]

    def tables(self, *, within: float = FRESH_SECONDS) -> list[str]:
        """Names of all tables, in order, as of `within` seconds."""
        kept_at, names = self._names
        if time.monotonic() - kept_at < within:
            return names
        asked = time.monotonic()
        with _answering(self._settings):
            self._names = asked, all_tables(self._connected())
        return self._names[1]

    def known(self, table: str) -> bool:
        """Whether the lake lists that table: nothing else that a request names is asked of the catalog."""
        return table in self.tables(within=KNOWN_SECONDS) or table in self.tables()

    def _at(self, table: str, snapshot: int, loaded: Table | None = None) -> Head:
        loaded = loaded or self._load(table)
        entries = table_history(loaded) if loaded is not None else []
        entry = next((each for each in entries if each.snapshot_id == snapshot), None)
        if loaded is None or entry is None:
            detail = f"table {table} holds no snapshot {snapshot}: it has expired, or never was; begin without it"
            raise ProblemError("snapshot-gone", detail)
        return Head(table, True, entry, _columns(loaded, snapshot), _has_row_ids(loaded))

    def _load(self, table: str) -> Table | None:
        with _answering(self._settings):
            try:
                return self._connected().load_table(table)
            except (NoSuchTableError, NoSuchNamespaceError):
                return None

    def _connected(self) -> RestCatalog:
        if self._catalog is None:
            self._catalog = iceberg_catalog(self._settings)
        return self._catalog


@contextmanager
def _answering(settings: Settings) -> Iterator[None]:
    """Make of the client's errors one of ours. Raises ComponentError."""
    try:
        yield
    except (RESTError, RequestException) as refused:
        raise ComponentError(
            f"the REST catalog at {settings.catalog} does not answer", remedy="lake status; lake up"
        ) from refused


def _head(loaded: Table, table: str) -> Head:
    current = table_history(loaded, limit=1)
    entry = current[0] if current else None
    return Head(table, True, entry, _columns(loaded, entry.snapshot_id if entry else None), _has_row_ids(loaded))


def _has_row_ids(loaded: Table) -> bool:
    return loaded.metadata.format_version >= ROW_IDS_FROM


def _columns(loaded: Table, snapshot: int | None) -> dict[str, str]:
    """Column names and types of a snapshot's own schema; of the table's where the snapshot names none."""
    at = loaded.snapshot_by_id(snapshot) if snapshot is not None else None
    schema = loaded.schemas()[at.schema_id] if at is not None and at.schema_id is not None else loaded.schema()
    return {column.name: str(column.field_type) for column in schema.fields}


def _began_after(loaded: Table, when: datetime) -> bool:
    """Whether the table's very first snapshot, which it still knows, is later than that time."""
    log = sorted(loaded.metadata.snapshot_log, key=lambda entry: entry.timestamp_ms)
    if not log:
        return True
    first = loaded.snapshot_by_id(log[0].snapshot_id)
    is_first = first is not None and first.parent_snapshot_id is None
    return is_first and log[0].timestamp_ms > int(when.timestamp() * 1000)
