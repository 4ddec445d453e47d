"""The tasks of the DAG nyc_weather_etl: [fetch, locations] → validate → [load, load-locations]."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from batch.control import record_findings, replace_quarantine
from batch.job import Job
from batch.loading import ensure_table, replace
from batch.quality import SAMPLE_ROWS, Finding, check, require
from batch.weather import publish
from batch.weather.fetching import from_api, from_record
from batch.weather.plan import Piece, own_piece
from batch.weather.references import Reference, land_zones, references
from batch.weather.runs import recorded
from batch.weather.split import Split, split
from catalog.tables.table import Rule, Table
from catalog.tables.weather import HOURLY_WEATHER, LOCATIONS, MOST_QUARANTINED

WHOLE = "whole"
"""Interval of a table that each run replaces as a whole."""
_FEW_SET_ASIDE = Rule("few rows are set aside", "select * from refused", tolerance=MOST_QUARANTINED)


def fetch(job: Job) -> dict[str, Any]:
    """Land the weather of the run's days, and of 2019 while the table lacks it."""
    own = own_piece(job.run, datetime.now(UTC))
    with recorded(job, HOURLY_WEATHER, own.interval, job.settings.weather_source, only_failure=True):
        if job.settings.weather_source == "record":
            pieces, note = from_record(job, own)
        else:
            pieces, note = from_api(job, own), None
    return {"own": own.interval, "pieces": [piece.model_dump(mode="json") for piece in pieces], "note": note}


def locations(job: Job) -> dict[str, Any]:
    """Land the files of the zones. The places are declared."""
    return land_zones(job)


def validate(job: Job) -> dict[str, Any]:
    """Split the weather and hold the rules of all three tables against what is to be published.

    Raises QualityError when an error-level rule is broken; findings and quarantine are written then, too.
    """
    for each in _references(job):
        with recorded(job, each.table, WHOLE, each.source, only_failure=True):
            _judge(job, each.table, WHOLE, each.rows)
        if each.table is LOCATIONS:
            job.spark.createDataFrame(each.rows).createOrReplaceTempView("locations")
    counts = {}
    for piece in _pieces(job):
        with recorded(job, HOURLY_WEATHER, piece.interval, piece.source, only_failure=True):
            parts = split(job, piece)
            replace_quarantine(job, HOURLY_WEATHER, piece.interval, job.spark.createDataFrame(parts.quarantined))
            _judge(job, HOURLY_WEATHER, piece.interval, parts.accepted, _set_aside(parts))
        counts[piece.interval] = _counts(parts)
    return counts


def load(job: Job) -> dict[str, Any]:
    """Publish the validated hours, one piece after the other; say so where there is nothing to load."""
    job.result("weather validate")
    fetched, snapshots = job.result("weather fetch"), {}
    for piece in _pieces(job):
        with recorded(job, HOURLY_WEATHER, piece.interval, piece.source) as row:
            parts = split(job, piece)
            snapshots[piece.interval] = publish.merge(job.spark, parts.accepted)
            row |= _counts(parts) | {"sha256": piece.sha256, "snapshot_id": snapshots[piece.interval]}
    if fetched["note"]:
        with recorded(job, HOURLY_WEATHER, fetched["own"], job.settings.weather_source) as row:
            row |= {"status": "unchanged", "message": fetched["note"]}
    return {"snapshots": snapshots, "note": fetched["note"]}


def load_locations(job: Job) -> dict[str, Any]:
    """Replace weather.locations and reference.taxi_zones as a whole."""
    job.result("weather validate")
    snapshots = {}
    for each in _references(job):
        with recorded(job, each.table, WHOLE, each.source) as row:
            ensure_table(job.spark, each.table)
            snapshot = replace(job.spark, each.table, job.spark.createDataFrame(each.rows), "true")
            row |= {"rows_in": each.rows.num_rows, "accepted": each.rows.num_rows, "quarantined": 0}
            row |= {"sha256": each.sha256, "snapshot_id": snapshot}
        snapshots[each.table.identifier] = snapshot
    return {"snapshots": snapshots}


def _pieces(job: Job) -> list[Piece]:
    return [Piece.model_validate(known) for known in job.result("weather fetch")["pieces"]]


def _references(job: Job) -> list[Reference]:
    return references(job, job.result("weather locations"))


def _judge(job: Job, table: Table, interval: str, rows: pa.Table, *further: Finding) -> None:
    findings = [*check(table, job.spark.createDataFrame(rows)), *further]
    record_findings(job, table, interval, findings)
    require(table, interval, findings)


def _set_aside(parts: Split) -> Finding:
    sample = [asdict(each) for each in parts.refused[:SAMPLE_ROWS]]
    return Finding(_FEW_SET_ASIDE, parts.rows_in, len(parts.refused), json.dumps(sample) if sample else None)


def _counts(parts: Split) -> dict[str, int]:
    return {"rows_in": parts.rows_in, "accepted": parts.accepted.num_rows, "quarantined": len(parts.refused)}
