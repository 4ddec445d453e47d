"""What the streaming job says of itself: `stream.json` in the state folder, replaced whole each time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.positions import Position
from streaming.table import TableStream

FILE_NAME = "stream.json"


@dataclass(frozen=True)
class Stopped:
    """A table that goes no further, why, and the command that mends it."""

    reason: str
    remedy: str


def write_status(
    state_dir: Path,
    state: str,
    running: Mapping[str, TableStream],
    stopped: Mapping[str, Stopped],
    copying: Mapping[str, str],
    realtime: Mapping[str, Any],
    error: str = "",
) -> None:
    """Write the status of the job, of every table and of the real-time tables."""
    tables: dict[str, Any] = {}
    for name, stream in running.items():
        tables[name] = {**_described(stream), "state": "copying" if _in_copy(stream) else "running"}
    for name, stop in stopped.items():
        tables[name] = {"state": "stopped", "reason": stop.reason, "remedy": stop.remedy}
    for name, what in copying.items():
        tables[name] = {"state": "copying", "reason": what, "remedy": ""}
    status = {
        "updated_at": datetime.now(UTC).isoformat(),
        "pid": os.getpid(),
        "state": state,
        "error": error,
        "tables": dict(sorted(tables.items())),
        "realtime": dict(realtime),
    }
    path = state_dir / FILE_NAME
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(status, indent=1))
    partial.rename(path)


def _in_copy(stream: TableStream) -> bool:
    position = stream.mirror.position
    return position is not None and position.copy is not None


def _described(stream: TableStream) -> dict[str, Any]:
    position, progress = stream.mirror.position or Position(""), stream.progress
    return {
        "reason": "",
        "remedy": "",
        "topic": stream.topic,
        "append_only": not stream.source.key,
        "position": {str(number): p.next_offset for number, p in position.partitions.items()},
        "lsn": position.lsn,
        "generation": position.generation,
        "files": len(stream.mirror.files),
        "rows": sum(file.alive for file in stream.mirror.files.values()),
        "rows_applied": progress.events,
        "quarantined": progress.quarantined,
        "unverifiable": progress.unverifiable,
        "last_commit_at": progress.last_commit_at.isoformat() if progress.last_commit_at else None,
        "last_epoch_seconds": round(progress.last_epoch_seconds, 3),
        "epochs": progress.epochs,
        "visible": progress.delays.as_json(),
    }
