"""Key figures and recent trips, from the mirror of the source's trips."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from serving.api.access import needs
from serving.api.answering import Answering, Instant, Page, Past
from serving.api.keys import Scope
from serving.api.moments import full_hour, present
from serving.api.questions import Order, question
from serving.api.routes.documented import answers
from serving.rows import DashboardStats, HourOfTrips, Trip

router = APIRouter(prefix="/api/v1", tags=["dashboard"], dependencies=[Depends(needs(Scope.ANALYTICS))])
STATS = question("dashboard_stats", {"trips": "taxi_cdc.trips"}, [Order("window_end")])
SERIES = question("dashboard_series", {"trips": "taxi_cdc.trips"}, [Order("hour")])
RECENT = question(
    "trips_recent",
    {"trips": "taxi_cdc.trips", "zones": "reference.taxi_zones"},
    [Order("pickup_at", descending=True), Order("trip_id", descending=True)],
    optional=["zones"],
)


class Window(Past):
    """The window of the figures."""

    hours: Annotated[int, Field(ge=1, le=24 * 366, description="length of the window")] = 24


class SeriesPage(Page):
    """Which hours."""

    hours: Annotated[int, Field(ge=1, le=24 * 31, description="how many of the last full hours")] = 168


class TripsPage(Page):
    """Which trips."""

    location_id: Annotated[int | None, Field(ge=1, le=265, description="zone of the pick-up")] = None
    since: Annotated[Instant | None, Field(description="pick-up not before; UTC unless it names a zone")] = None


@router.get("/dashboard/stats", **answers(DashboardStats))
def dashboard_stats(request: Request, window: Annotated[Window, Query()]) -> Response:
    """Trips, revenue, fares and zones of the last full hours, against the hours before them."""
    until = full_hour(present(window.as_of))
    answering: Answering = request.app.state.answering
    return answering.one(request, STATS, window, {"now_until": until, "hours": window.hours})


@router.get("/dashboard/series", **answers(list[HourOfTrips]))
def dashboard_series(request: Request, page: Annotated[SeriesPage, Query()]) -> Response:
    """Trips, revenue, fares and zones by full hour, from the hour of the first trip on."""
    parameters = {"now_until": full_hour(present(page.as_of)), "hours": page.hours}
    answering: Answering = request.app.state.answering
    return answering.rows(request, SERIES, page, parameters)


@router.get("/trips/recent", **answers(list[Trip]))
def trips_recent(request: Request, page: Annotated[TripsPage, Query()]) -> Response:
    """Trips by pick-up, newest first. Rows that the source gave a later pick-up than now wait until then."""
    until = present(page.as_of).replace(second=0, microsecond=0)
    parameters = {"now_until": until, "location_id": page.location_id, "since": page.since}
    answering: Answering = request.app.state.answering
    return answering.rows(request, RECENT, page, parameters)
