"""Activity of the last hour by zone: asked for, or sent as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from serving.api.access import needs
from serving.api.answering import LIMIT, Answering, Page, described
from serving.api.formats import Format, json_bytes
from serving.api.keys import Scope
from serving.api.memory import Answer
from serving.api.moments import full_window, present
from serving.api.problems import ProblemError, describe
from serving.api.questions import Asked, Order, question
from serving.api.routes.documented import answers
from serving.rows import ZoneActivity

router = APIRouter(prefix="/api/v1/realtime", tags=["realtime"], dependencies=[Depends(needs(Scope.ANALYTICS))])
ACTIVITY = question(
    "realtime_activity",
    {"activity": "realtime.zone_activity", "zones": "reference.taxi_zones"},
    [Order("activity_score", descending=True), Order("zone_id")],
    optional=["zones"],
)
HOUR = timedelta(hours=1)
STREAMS = 100
"""Event streams at once."""
LOOK_SECONDS = 1.0


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
    responses=describe(
        "unauthorized", "forbidden", "invalid-request", "too-many-requests", "lake-unavailable", "too-many-streams"
    ),
)
async def activity_stream(
    request: Request, last_event_id: Annotated[str | None, Header(max_length=200)] = None
) -> AsyncIterator[ServerSentEvent]:
    """The same as it changes: each event `activity` holds the whole state, so that none has to be sent again.

    Who comes back with `Last-Event-ID` gets the present state at once if it is another, and else the next one.
    """
    state, metrics = request.app.state, request.app.state.metrics
    state.open_streams += 1
    metrics.streams.inc()
    try:
        sent = last_event_id
        while True:
            answer = await run_in_threadpool(_present, request)
            event = _event_id(answer)
            if event != sent:
                yield ServerSentEvent(raw_data=_state(answer), event="activity", id=event, retry=2000)
                sent = event
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        state.open_streams -= 1
        metrics.streams.dec()


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
