"""How long a change took from its commit in Postgres to a snapshot that has it, measured from the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.history import load_table, snapshot_entries
from catalog.positions import Position
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import CATALOG, Settings
from catalog.tables.cdc import POSITION_PROPERTY


@dataclass(frozen=True)
class Freshness:
    """Seconds from commit to visible over `events` streamed events; the snapshots' own clock resolves milliseconds."""

    events: int
    median: float
    percentile_95: float
    largest: float


def freshness(
    settings: Settings,
    name: str,
    since: datetime,
    visible_in: str | None = None,
    read: Callable[[str, datetime], pa.Table] | None = None,
) -> Freshness | None:
    """Of one mirror's events committed since then, in it or in a table made from it; None when there are none.

    An event is visible in the first snapshot whose position is past its offset. `read` gives `topic_offset` and
    `committed_at` of a changelog's streamed events since a time; a DuckDB of its own does where it is not given.
    """
    catalog = iceberg_catalog(settings)
    mirror, table = load_table(catalog, name), load_table(catalog, visible_in or name)
    visible_at, reached = [], []
    times = {snapshot.snapshot_id: snapshot.timestamp_ms / 1000 for snapshot in table.metadata.snapshots}
    for entry in snapshot_entries(table):
        if (text := entry.summary.get(POSITION_PROPERTY)) is not None:
            visible_at.append(times[entry.snapshot_id])
            reached.append(Position.from_json(text).next_offset(0))
    order = np.lexsort((visible_at, reached))
    changelog = f"{'.'.join(mirror.name())}_cdc"
    events = read(changelog, since) if read else _streamed(settings, changelog, since)
    committed_at = pc.cast(events["committed_at"], pa.int64()).to_numpy() / 1e6
    first = np.searchsorted(np.asarray(reached)[order], events["topic_offset"].to_numpy(), "right")
    held = first < len(order)
    if not held.any():
        return None
    seconds = np.asarray(visible_at)[order][first[held]] - committed_at[held]
    return Freshness(
        int(held.sum()), float(np.median(seconds)), float(np.percentile(seconds, 95)), float(seconds.max())
    )


def _streamed(settings: Settings, changelog: str, since: datetime) -> pa.Table:
    with duckdb_connection(settings) as connection:
        rows = connection.table(f"{CATALOG}.{changelog}")
        streamed = rows.filter(f"op <> 'r' and committed_at >= timestamptz '{since.isoformat()}'")
        return streamed.project("topic_offset, committed_at").to_arrow_table()
