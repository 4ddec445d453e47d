"""What earlier runs published, and what to tell of this one: control.batch_runs seen from the taxi load."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batch.job import Job
from batch.landing import Landed, landed_before
from batch.taxi.months import Month
from batch.taxi.source import DATASET, file_name
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import CATALOG, Settings
from catalog.tables.control import BATCH_RUNS
from catalog.tables.nyc_taxi import TRIPS

_LAST_SUCCESS = f"""
select interval, arg_max(sha256, finished_at) as sha256, arg_max(rows_in, finished_at) as rows_in
from {CATALOG}.{BATCH_RUNS.identifier}
where dataset = '{TRIPS.identifier}' and status = 'success'
group by interval
"""  # noqa: S608 - names of our own declarations
_NO_MONTH = "none"


@dataclass(frozen=True)
class Published:
    """A month that the table holds: the file that it was made from, and the rows of that."""

    file: Landed
    rows: int


def published(settings: Settings) -> dict[Month, Published]:
    """The months that the table holds and whose file is known; one that was published but not recorded is not here."""
    catalog = iceberg_catalog(settings)
    if not all(catalog.table_exists(table.identifier) for table in (BATCH_RUNS, TRIPS)):
        return {}
    partitions = catalog.load_table(TRIPS.identifier).inspect.partitions()["partition"].to_pylist()
    held = {Month(partition["year"], partition["month"]) for partition in partitions}
    with duckdb_connection(settings) as connection:
        recorded = connection.execute(_LAST_SUCCESS).fetchall()
    found = {}
    for interval, sha256, rows in recorded:
        month = Month.parse(interval)
        file = landed_before(settings, DATASET, file_name(month), sha256) if month in held else None
        if file is not None:
            found[month] = Published(file, rows)
    return found


def runs(job: Job) -> list[dict[str, Any]]:
    """A row of control.batch_runs for each month of this run, or one that says that there was none."""
    extracted = job.outcome("taxi extract") or {}
    about = {
        "run_id": job.run.id,
        "dataset": TRIPS.identifier,
        "source": job.settings.tlc_source,
        "started_at": datetime.fromisoformat(extracted.get("started_at", datetime.now(UTC).isoformat())),
        "finished_at": datetime.now(UTC),
    }
    if not extracted.get("months"):
        status = "unchanged" if extracted else "failed"
        message = extracted.get("message") or job.failure("taxi extract") or "taxi extract ended without a word"
        return [{**about, "interval": _NO_MONTH, "status": status, "message": message}]
    of_months = _of_months(job, extracted)
    return [
        {**about, "interval": name, "source": file["origin"], "sha256": file["sha256"], **of_months[name]}
        for name, file in extracted["months"].items()
    ]


def _of_months(job: Job, extracted: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Status, figures and message of each month, from what the steps left."""
    validated = (job.outcome("taxi validate") or {}).get("months", {})
    snapshots = (job.outcome("taxi load") or {}).get("snapshots", {})
    said = job.failure("taxi validate") or job.failure("taxi load") or "a step ended without a word"
    told: dict[str, dict[str, Any]] = {}
    for name in extracted["months"]:
        if name not in extracted["changed"]:
            told[name] = {"status": "unchanged", "message": "the same bytes are published already"}
            continue
        figures = {key: validated.get(name, {}).get(key) for key in ("rows_in", "accepted", "quarantined")}
        unknown = validated.get(name, {}).get("unknown_columns")
        told[name] = {
            **figures,
            "snapshot_id": snapshots.get(name),
            "status": "success" if name in snapshots else "failed",
            "message": (f"unknown columns: {', '.join(unknown)}" if unknown else None) if name in snapshots else said,
        }
    return told
