"""Activity of the last hour by zone: asked for, or sent as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from catalog.errors import ComponentError
from serving.api.access import needs
from serving.api.answering import LIMIT, Answering, Page, described
from serving.api.formats import Format, json_bytes
from serving.api.keys import Key, Scope
from serving.api.memory import Answer
from serving.api.moments import full_window, present
from serving.api.problems import ProblemError, describe
from serving.api.questions import Asked, Order, question
from serving.api.routes.documented import answers
from serving.rows import ZoneActivity

admitted = needs(Scope.ANALYTICS)
router = APIRouter(prefix="/api/v1/realtime", tags=["realtime"], dependencies=[Depends(admitted)])
ACTIVITY = question(
    "realtime_activity",
    {"activity": "realtime.zone_activity", "zones": "reference.taxi_zones"},
    [Order("activity_score", descending=True), Order("zone_id")],
    optional=["zones"],
)
HOUR = timedelta(hours=1)
STREAMS = 100
"""Event streams at once."""
LOOK_SECONDS, AWAY_SECONDS = 1.0, 5.0
log = structlog.get_logger()


@router.get("/activity", **answers(list[ZoneActivity]))
def activity(request: Request, page: Annotated[Page, Query()]) -> Response:
    """Each zone's newest window of the last hour, the busiest first."""
    since = full_window(present(page.as_of)) - HOUR
    answering: Answering = request.app.state.answering
    return answering.rows(request, ACTIVITY, page, {"now_since": since})


def _one_more(request: Request) -> None:
    if request.app.state.open_streams >= STREAMS:
        raise ProblemError("too-many-streams", f"{STREAMS} are open", headers={"Retry-After": "30"})


@router.get(
    "/activity/stream",
    response_class=EventSourceResponse,
    dependencies=[Depends(_one_more)],
    responses=describe("unauthorized", "forbidden", "invalid-request", "too-many-requests", "too-many-streams"),
)
async def activity_stream(
    request: Request,
    key: Annotated[Key, Depends(admitted)],
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The same as it changes: each event `activity` holds the whole state, so that none has to be sent again.

    Who comes back with `Last-Event-ID` gets the present state at once if it is another, and else the next one. While
    the lake does not answer the stream goes on with comments; it ends with its key.
    """
    state, sent = request.app.state, last_event_id
    state.open_streams += 1
    state.metrics.streams.inc()
    try:
        while await run_in_threadpool(state.access.still_valid, key):
            try:
                answer = await run_in_threadpool(_present, request)
            except (ComponentError, ProblemError) as away:
                log.warning("an event stream waits for the lake", error=str(away), key=key.id)
                yield ServerSentEvent(comment="the lake does not answer")
                await asyncio.sleep(AWAY_SECONDS)
                continue
            event = _event_id(answer)
            if event != sent:
                yield ServerSentEvent(raw_data=_state(answer), event="activity", id=event, retry=2000)
                sent = event
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        state.open_streams -= 1
        state.metrics.streams.dec()


def _present(request: Request) -> Answer:
    since = full_window(datetime.now(UTC)) - HOUR
    answering: Answering = request.app.state.answering
    return answering.answers.get(Asked(ACTIVITY, {"now_since": since}, LIMIT, {}))


def _event_id(answer: Answer) -> str:
    """Which state it is: its snapshots, and the rows where a quiet zone left the hour."""
    return "-".join(str(snapshot or 0) for _, snapshot in answer.snapshots) + f"-{answer.rows.table.num_rows}"


def _state(answer: Answer) -> str:
    meta = json_bytes(described(answer.rows, None))
    return (b'{"data":' + answer.encoded(Format.JSON) + b',"meta":' + meta + b"}").decode()
