"""How well the lake is: quality rules, and how far every table and pipeline is, from the lake's own facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from catalog import verified
from catalog.tables.realtime import TRIP_AGGREGATIONS
from serving.api.access import needs
from serving.api.answering import LIMIT, Answering, Page
from serving.api.formats import Format, json_bytes, negotiate
from serving.api.heads import Head, Heads
from serving.api.keys import Scope
from serving.api.pipeline import MIRROR, Pipeline
from serving.api.problems import ProblemError
from serving.api.questions import Asked, Order, question
from serving.api.routes.documented import answers
from serving.status import PipelineStatus, QualityResult

router = APIRouter(prefix="/api/v1", tags=["operations"], dependencies=[Depends(needs(Scope.OPERATIONS))])
RESULTS = question(
    "quality",
    {"results": "control.quality_results"},
    [Order("passed"), Order("checked_at", descending=True), Order("dataset"), Order("interval"), Order("rule")],
)
RUNS = question("batch_runs", {"runs": "control.batch_runs"}, [Order("finished_at", descending=True), Order("dataset")])
QUARANTINES = {"quarantined_events": "taxi_cdc.quarantine", "quarantined_rows": "control.quarantine"}
STREAM_FILE = "stream.json"
"""What the streaming job writes of itself into the state folder."""
LISTED_SECONDS = 2.0


class QualityPage(Page):
    """Which rules."""

    dataset: Annotated[str | None, Field(max_length=200, description="a table, such as nyc_taxi.trips")] = None
    severity: Annotated[Literal["error", "warning"] | None, Field()] = None
    passed: Annotated[bool | None, Field()] = None


@router.get("/quality", **answers(list[QualityResult]))
def quality(request: Request, page: Annotated[QualityPage, Query()]) -> Response:
    """What each rule found when it was last asked, broken ones first."""
    parameters = {"dataset": page.dataset, "severity": page.severity, "passed": page.passed}
    answering: Answering = request.app.state.answering
    return answering.rows(request, RESULTS, page, parameters)


@router.get("/pipeline/status", **answers(PipelineStatus))
def pipeline_status(request: Request) -> Response:
    """Positions, freshness, rates, quarantine, the newest runs and verifications, and what processes use; JSON only."""
    if negotiate(request.headers.get("accept")) is not Format.JSON:
        raise ProblemError("not-acceptable", f"this is no table: accept {Format.JSON}")
    heads: Heads = request.app.state.heads
    answering: Answering = request.app.state.answering
    pipeline: Pipeline = request.app.state.pipeline
    state_dir = request.app.state.settings.state_dir
    now, stream = datetime.now(UTC), _stream(state_dir)
    found = [heads.of(name, within=LISTED_SECONDS) for name in heads.tables()]
    rows_of = {head.table: head.entry.rows_total if head.entry else 0 for head in found}
    status = {
        "tables": [_described(head, stream, now) for head in found],
        "batch_runs": answering.answers.get(Asked(RUNS, {}, LIMIT, {})).rows.table.to_pylist(),
        **{name: rows_of.get(table) for name, table in QUARANTINES.items()},
        "stream": stream and {name: stream.get(name) for name in ("state", "error", "updated_at")},
        "realtime": _realtime(stream, found),
        "flow": pipeline.flow(),
        "verified": _verified(state_dir),
        "processes": pipeline.processes.usage(),
        "disk": pipeline.processes.disk(),
    }
    ages = [head.as_json(now)["age_seconds"] for head in found if head.entry]
    meta = {"rows": len(found), "snapshots": [head.as_json(now) for head in found], "derived": False,
            "freshness_seconds": max(ages, default=None), "next_cursor": None,
            "reason": None if found else "no data yet: the lake has no table"}  # fmt: skip
    return Response(json_bytes({"data": status, "meta": meta}), media_type=Format.JSON.value)


def _verified(state_dir: Path) -> list[dict[str, Any]]:
    """Without the cells that differ: who may see the pipeline may not see every table."""
    return [{name: value for name, value in each.items() if name != "differences"} for each in verified.kept(state_dir)]


def _described(head: Head, stream: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    source = (stream or {}).get("tables", {}).get(_source_name(head.table), {})
    return {
        **head.as_json(now),
        "rows": head.entry.rows_total if head.entry else 0,
        "state": source.get("state"),
        "reason": source.get("reason") or None,
    }


def _realtime(stream: dict[str, Any] | None, heads: Sequence[Head]) -> dict[str, Any] | None:
    """What the stream says of the real-time tables, and how much of the mirror they have not taken in."""
    if stream is None:
        return None
    said, at = stream.get("realtime", {}), {head.table: head.entry.next_offsets for head in heads if head.entry}
    mirror, windows = at.get(MIRROR), at.get(TRIP_AGGREGATIONS.identifier)
    behind = sum(max(0, end - windows.get(part, 0)) for part, end in mirror.items()) if mirror and windows else None
    told = ("seconds_behind_source", "last_commit_at", "alerts")
    return {
        "state": said.get("state", "waiting"),
        "reason": said.get("reason") or None,
        "records_behind": behind,
        **{name: said.get(name) for name in told},
    }


def _source_name(table: str) -> str:
    """The source table of a mirror, as the stream names it."""
    schema, _, name = table.partition(".")[2].rpartition("__")
    return f"{schema or 'public'}.{name}"


def _stream(state_dir: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((state_dir / STREAM_FILE).read_text())
    except FileNotFoundError:
        return None
    return found
