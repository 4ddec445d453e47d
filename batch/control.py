"""Writes the control tables: runs and what the rules found are added, an interval's quarantined rows replaced."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table as IcebergTable

from batch import loading
from batch.job import Job
from batch.quality import Finding
from catalog.errors import ComponentError
from catalog.readers import iceberg_catalog
from catalog.settings import CATALOG, Settings
from catalog.tables.control import BATCH_RUNS, QUALITY_RESULTS, QUARANTINE
from catalog.tables.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ATTEMPTS = 12
_ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def record_runs(settings: Settings, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to `control.batch_runs`; absent columns are null."""
    _append(settings, BATCH_RUNS, rows)


def record_findings(job: Job, table: Table, interval: str, findings: Sequence[Finding]) -> None:
    """Add what the rules of `table` found to `control.quality_results`."""
    now = datetime.now(UTC)
    rows = [
        {
            "run_id": job.run.id,
            "dataset": table.identifier,
            "interval": interval,
            "rule": found.rule.name,
            "severity": found.rule.severity,
            "rows": found.rows,
            "breaches": found.breaches,
            "tolerance": found.rule.tolerance,
            "passed": found.passed,
            "sample": found.sample,
            "checked_at": now,
        }
        for found in findings
    ]
    _append(job.settings, QUALITY_RESULTS, rows)


def replace_quarantine(job: Job, table: Table, interval: str, rows: DataFrame) -> None:
    """Make `rows` (source, source_row, reason, raw) the quarantined rows of this interval of `table`."""
    loading.ensure_table(job.spark, QUARANTINE)
    of_interval = f"dataset = '{table.identifier}' and interval = '{interval}'"
    held = job.spark.table(f"{CATALOG}.{QUARANTINE.identifier}").where(of_interval)
    if rows.isEmpty() and held.isEmpty():
        return
    named = rows.selectExpr(f"'{table.identifier}' as dataset", f"'{interval}' as interval", "*")
    loading.replace(job.spark, QUARANTINE, named, of_interval)


def _append(settings: Settings, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """One commit; when another writer was quicker, again on what it left."""
    if not rows:
        return
    data = pa.Table.from_pylist(list(rows), schema=arrow_schema(table))
    for attempt in range(ATTEMPTS):
        try:
            _open(settings, table).append(data)
            return
        except CommitFailedException:
            time.sleep(random.uniform(0, 0.1 * 2 ** min(attempt, 5)))
    raise ComponentError(
        f"{table.identifier} could not be written: others were quicker {ATTEMPTS} times", remedy="run the step again"
    )


def arrow_schema(table: Table) -> pa.Schema:
    """The declared columns as Arrow types."""
    return pa.schema([pa.field(each.name, _ARROW[each.type], not each.required) for each in table.columns])


def _open(settings: Settings, table: Table) -> IcebergTable:
    """The table, created when it is missing: in format 2, because pyiceberg writes no other."""
    catalog = iceberg_catalog(settings)
    catalog.create_namespace_if_not_exists(table.namespace)
    return catalog.create_table_if_not_exists(table.identifier, arrow_schema(table), properties={"format-version": "2"})
