"""Whether what the stream keeps is alive: what the streaming job says, and how late changes came to the mirror."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.errors import BatchError
from catalog.freshness import freshness
from catalog.history import load_table, table_history
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.verification.coverage import STATUS_FILE

SOURCE_TABLE = "public.trips"
MIRROR = "taxi_cdc.trips"
RECENT = timedelta(minutes=15)


def require_fresh(settings: Settings, now: datetime | None = None) -> dict[str, Any]:
    """Position and freshness of the trips' mirror, the other tables' states, and where the real-time tables are.

    Raises BatchError when the streaming job is away or silent, when it does not follow the trips, when the real-time
    tables fail, or when the changes of the last 15 minutes came later than the settings allow.
    """
    now = now or datetime.now(UTC)
    status = _status(settings)
    age = (now - datetime.fromisoformat(status["updated_at"])).total_seconds()
    if status["state"] != "running" or age > settings.stream_silence_seconds:
        told = status.get("error") or f"its state is {status['state']}"
        raise BatchError(
            f"the streaming job is stale: it spoke {age:.0f} s ago, {told}",
            remedy="lake status; lake logs stream; lake up",
        )
    tables = status["tables"]
    _require_running(tables.get(SOURCE_TABLE))
    if (realtime := status["realtime"])["state"] == "failing":
        raise BatchError(f"the real-time tables are stale: {realtime['reason']}", remedy="lake logs stream")
    late = freshness(settings, MIRROR, now - RECENT)
    if late is not None and late.percentile_95 > settings.stream_delay_seconds:
        raise BatchError(
            f"{MIRROR} is stale: 5 % of the changes of the last {RECENT.seconds // 60} minutes came later than"
            f" {late.percentile_95:.0f} s after their commit, {settings.stream_delay_seconds:.0f} s are allowed",
            remedy="lake status; lake logs stream; LAKE_STREAM_DELAY_SECONDS allows more",
        )
    last = table_history(load_table(iceberg_catalog(settings), MIRROR), limit=1)
    return {
        "seconds_since_the_job_spoke": round(age, 1),
        "states": {name: table["state"] for name, table in tables.items()},
        "realtime": realtime,
        "mirror": last[0].as_json() if last else None,
        "recent_changes": asdict(late) if late else None,
    }


def _status(settings: Settings) -> dict[str, Any]:
    path = settings.state_dir / STATUS_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as absent:
        raise BatchError(
            f"no streaming job has run here: {path} is missing, so the mirror {MIRROR} is not kept fresh",
            remedy="lake up starts change data capture",
        ) from absent
    return found


def _require_running(table: dict[str, Any] | None) -> None:
    if table is None:
        raise BatchError(
            f"the streaming job does not follow {SOURCE_TABLE}: there is no mirror {MIRROR}",
            remedy="scripts/setup-connectors.sh, then lake status",
        )
    if table["state"] != "running":
        raise BatchError(
            f"the mirror {MIRROR} is {table['state']}: {table['reason']}",
            remedy=table["remedy"] or "wait for it: lake status",
        )
