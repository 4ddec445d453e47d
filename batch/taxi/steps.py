"""The tasks of nyc_taxi_iceberg_etl: extract → validate → load → record, over the months of one run.

A month that breaks a rule stops the run before anything is published: all months are checked first. Months are
published one after the other, each as a whole and in one commit; a run that is killed between two has published the
first, and running it again publishes both, with the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from batch import control, loading, quality
from batch.job import Job
from batch.landing import Landed
from batch.taxi import history
from batch.taxi.checking import about_the_file
from batch.taxi.months import Month
from batch.taxi.source import land_months
from batch.taxi.splitting import accepted, judged, set_aside
from batch.taxi.tlc_file import TlcFile, read_footer
from catalog.errors import BatchError, QualityError
from catalog.files import s3_files
from catalog.tables.nyc_taxi import TRIPS


def extract(job: Job) -> dict[str, Any]:
    """Land the run's months; those whose bytes are published already are only named, unless they were asked for."""
    started = _now()
    known = {month: each.file for month, each in history.published(job.settings).items()}
    landed, absent = land_months(job.settings, job.run, known)
    asked = bool(job.run.options.get("months"))
    changed = [
        month for month, file in landed.items() if asked or month not in known or known[month].sha256 != file.sha256
    ]
    told = f"{len(changed)} of {len(landed)} months are new or changed" if changed else "nothing new"
    return {
        "started_at": started,
        "months": {str(month): file.as_json() for month, file in landed.items()},
        "changed": [str(month) for month in changed],
        "absent": [str(month) for month in absent],
        "message": f"{told}: {job.settings.tlc_source}",
    }


def validate(job: Job) -> dict[str, Any]:
    """Hold every changed month against its footer and the table's rules, and set aside what cannot be published.

    Raises BatchError, which names every month that must not be published and why, QualityError if only rules say so.
    """
    rows_of = {month: each.rows for month, each in history.published(job.settings).items()}
    months: dict[str, Any] = {}
    refused: list[BatchError] = []
    for month, landed in _changed(job).items():
        try:
            file = read_footer(s3_files(job.settings), landed)
            rows_of[month] = file.rows
            months[str(month)] = _validate(job, month, file, rows_of)
        except BatchError as error:
            refused.append(error)
    if refused:
        kind = QualityError if all(isinstance(error, QualityError) for error in refused) else BatchError
        raise kind(
            "\n".join(map(str, refused)), remedy="nothing of this run was published; `--option months=…` loads others"
        )
    return {"months": months}


def load(job: Job) -> dict[str, Any]:
    """Publish every validated month, one after the other; snapshot ids by month."""
    validated, snapshots = job.result("taxi validate")["months"], {}
    for month, landed in _changed(job).items():
        file = read_footer(s3_files(job.settings), landed)
        loading.ensure_table(job.spark, TRIPS)
        rows = accepted(judged(job, file, month))
        snapshot = loading.replace(job.spark, TRIPS, rows, f"year = {month.year} and month = {month.number}")
        written = loading.rows_added(job.spark, TRIPS, snapshot)
        if written != validated[str(month)]["accepted"]:
            raise BatchError(f"{TRIPS.identifier}, {month}: {written} rows were written, not those that were validated")
        snapshots[str(month)] = snapshot
    return {"snapshots": snapshots}


def record(job: Job) -> dict[str, Any]:
    """Add a row to control.batch_runs for each month of the run, whatever became of it.

    Raises BatchError when one of them failed, so that the run as a whole ends as failed.
    """
    rows = history.runs(job)
    control.record_runs(job.settings, rows)
    failed = {row["interval"]: row["message"] for row in rows if row["status"] == "failed"}
    if failed:
        raise BatchError(
            f"recorded that {', '.join(failed)} failed: {next(iter(failed.values()))}",
            remedy="mend what the failed step says, then run all steps again",
        )
    return {"recorded": {row["interval"]: row["status"] for row in rows}}


def _validate(job: Job, month: Month, file: TlcFile, rows_of: Mapping[Month, int]) -> dict[str, Any]:
    rows = judged(job, file, month).localCheckpoint()
    reasons, aside = set_aside(job, file, rows)
    of_rows = quality.check(TRIPS, accepted(rows))
    findings = [*of_rows, *about_the_file(month, file, reasons, rows_of)]
    control.replace_quarantine(job, TRIPS, str(month), aside)
    control.record_findings(job, TRIPS, str(month), findings)
    quality.require(TRIPS, str(month), findings)
    figures = {"rows_in": file.rows, "accepted": of_rows[0].rows, "quarantined": sum(reasons.values())}
    if figures["accepted"] + figures["quarantined"] != file.rows:
        raise BatchError(f"{file.name}: accepted and quarantined rows are not all: {figures}")
    return {**figures, "unknown_columns": list(file.unknown)}


def _changed(job: Job) -> dict[Month, Landed]:
    extracted = job.result("taxi extract")
    return {Month.parse(name): Landed(**extracted["months"][name]) for name in extracted["changed"]}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
