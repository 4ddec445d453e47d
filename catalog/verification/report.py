"""What a verification found, per table and together, and its JSON form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from catalog.history import lsn_text

Progress = Callable[[str, str, int, int], None]
"""Called with a phase (`barrier`, `position`, `changelog`, `rows`), a table or "", steps done, and steps in all."""

SHOWN = 20
"""How many differing rows, or keys, of a table are told; all are counted."""


@dataclass(frozen=True)
class Difference:
    """One differing row: `missing` or `extra` in the lake, `duplicate` of another there, or `changed` in columns."""

    key: dict[str, Any]
    kind: str
    columns: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Column values as `[lake, source]`."""
        return {
            "key": self.key,
            "kind": self.kind,
            "columns": {name: list(pair) for name, pair in self.columns.items()},
        }


@dataclass(frozen=True)
class TableReport:
    """One table. `changelog_equal` tells whether the changelog replays to the mirror; `unverified` why it could not be
    compared, empty when it was.
    """

    table: str
    rows_compared: int = 0
    differing_rows: int = 0
    seconds: float = 0.0
    changelog_events: int = 0
    changelog_differing_rows: int = 0
    duplicate_events: int = 0
    undone_events: int = 0
    quarantined: int = 0
    snapshot_id: int | None = None
    next_offsets: dict[int, int] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    changelog_keys: tuple[dict[str, Any], ...] = ()
    unverified: str = ""

    @property
    def changelog_equal(self) -> bool:
        """Whether the changelog holds every event once and replays to the mirror."""
        return not self.changelog_differing_rows and not self.duplicate_events

    @property
    def equal(self) -> bool:
        """Whether mirror, changelog and source agree."""
        return not self.unverified and not self.differing_rows and self.changelog_equal

    def as_json(self) -> dict[str, Any]:
        """All fields; numbers stay numbers."""
        return {
            "table": self.table,
            "equal": self.equal,
            "rows_compared": self.rows_compared,
            "differing_rows": self.differing_rows,
            "seconds": round(self.seconds, 3),
            "changelog_equal": self.changelog_equal,
            "changelog_events": self.changelog_events,
            "changelog_differing_rows": self.changelog_differing_rows,
            "changelog_keys": list(self.changelog_keys),
            "duplicate_events": self.duplicate_events,
            "undone_events": self.undone_events,
            "quarantined": self.quarantined,
            "snapshot_id": self.snapshot_id,
            "next_offsets": {str(partition): offset for partition, offset in self.next_offsets.items()},
            "unverified": self.unverified,
            "differences": [difference.as_json() for difference in self.differences],
        }


@dataclass(frozen=True)
class VerificationReport:
    """Every table at one point of the source, `lsn`."""

    lsn: int
    tables: tuple[TableReport, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """Whether every table agrees with its source and its changelog."""
        return all(table.equal for table in self.tables)

    @property
    def exit_code(self) -> int:
        """0 when all is equal, 1 when something differs, 2 when a table could not be verified."""
        if any(not table.equal and not table.unverified for table in self.tables):
            return 1
        return 0 if self.equal else 2

    def as_json(self) -> dict[str, Any]:
        """The LSN as Postgres writes it."""
        return {
            "equal": self.equal,
            "lsn": lsn_text(self.lsn),
            "seconds": round(self.seconds, 3),
            "tables": [table.as_json() for table in self.tables],
        }
