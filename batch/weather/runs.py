"""Rows of control.batch_runs for the weather DAG: each step that publishes, or fails, writes its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from batch.control import record_runs
from batch.job import Job
from catalog.errors import LakehouseError
from catalog.tables.table import Table


@contextmanager
def recorded(
    job: Job, table: Table, interval: str, source: str, *, only_failure: bool = False
) -> Iterator[dict[str, Any]]:
    """Record what the block does for an interval; it adds counts and snapshot to the row that it is given.

    An error of ours is recorded with its message and goes on.
    """
    row: dict[str, Any] = {
        "run_id": job.run.id,
        "dataset": table.identifier,
        "interval": interval,
        "source": source,
        "status": "success",
        "started_at": datetime.now(UTC),
    }
    try:
        yield row
    except LakehouseError as failed:
        message = f"{job.name}: {failed}"
        record_runs(job.settings, [row | {"status": "failed", "message": message, "finished_at": datetime.now(UTC)}])
        raise
    if not only_failure:
        record_runs(job.settings, [row | {"finished_at": datetime.now(UTC)}])
