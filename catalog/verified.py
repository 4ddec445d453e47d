"""What the last verification of each table found, kept in the state folder for those who show it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.history import lsn_text

if TYPE_CHECKING:
    from catalog.verification import TableReport, VerificationReport

FILE_NAME = "verified.json"
SHOWN = 5


def keep(state_dir: Path, report: VerificationReport) -> None:
    """Keep what was found of each table of the report; of other tables the last finding stays."""
    now = datetime.now(UTC).isoformat()
    found = {each["table"]: each for each in kept(state_dir)}
    for table in report.tables:
        before = found.get(table.table, {})
        found[table.table] = {
            "table": table.table,
            "equal": table.equal,
            "checked_at": now,
            "lsn": lsn_text(report.lsn),
            "rows_compared": table.rows_compared,
            "differing_rows": table.differing_rows,
            "unverified": table.unverified or None,
            "differences": [difference.as_json() for difference in table.differences[:SHOWN]],
            "known_to_differ": before.get("known_to_differ", 0) if table.unverified else _differing(table),
        }
    state_dir.mkdir(parents=True, exist_ok=True)
    partial = state_dir / f"{FILE_NAME}.{os.getpid()}"
    partial.write_text(json.dumps(list(found.values()), indent=1))
    partial.rename(state_dir / FILE_NAME)


def kept(state_dir: Path) -> list[dict[str, Any]]:
    """By table: whether it was equal, when (UTC) and at which LSN; empty where nothing was verified yet.

    `known_to_differ` counts what the last comparison that took place found, in mirror and changelog.
    """
    try:
        found: list[dict[str, Any]] = json.loads((state_dir / FILE_NAME).read_text())
    except FileNotFoundError:
        return []
    return found


def _differing(table: TableReport) -> int:
    return table.differing_rows + table.changelog_differing_rows + table.duplicate_events
