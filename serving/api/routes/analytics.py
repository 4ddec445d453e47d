"""Zones and weather over time, and the demand to come: what the batch pipelines computed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, model_validator

from serving.api.access import needs
from serving.api.answering import Answering, Day, Page
from serving.api.keys import Scope
from serving.api.moments import full_hour, present
from serving.api.questions import Order, question
from serving.api.routes.documented import answers
from serving.rows import DemandPrediction, PredictionAccuracy, WeatherImpact, ZonePerformance

router = APIRouter(prefix="/api/v1", tags=["analytics"], dependencies=[Depends(needs(Scope.ANALYTICS))])
ZONES = question(
    "analytics_zones",
    {"metrics": "analytics.zone_performance_metrics"},
    [Order("total_revenue", descending=True), Order("location_id")],
)
WEATHER = question(
    "analytics_weather_impact",
    {"correlation": "analytics.trip_weather_correlation"},
    [Order("total_trips", descending=True), Order("weather_condition")],
)
DEMAND = question(
    "predictions_demand",
    {"predictions": "ml.demand_prediction_features", "zones": "reference.taxi_zones"},
    [Order("prediction_hour"), Order("predicted_demand", descending=True), Order("location_id")],
    optional=["zones"],
)
ACCURACY = question(
    "predictions_accuracy",
    {"predictions": "ml.demand_prediction_features", "features": "analytics.demand_prediction_features"},
    [Order("prediction_hour", descending=True), Order("origin")],
)


class DaysPage(Page):
    """Which days of which trips."""

    origin: Annotated[
        Literal["cdc", "tlc"],
        Field(description="trips of the mirror, or of TLC's files at their true dates; never added up"),
    ] = "cdc"
    since: Annotated[Day | None, Field(description="first day")] = None
    until: Annotated[Day | None, Field(description="last day")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since > self.until:
            raise ValueError("`since` lies behind `until`")
        return self


class ZonesPage(DaysPage):
    """Which zones."""

    borough: Annotated[str | None, Field(max_length=40, description="such as Manhattan")] = None


class DemandPage(Page):
    """Which hours to come."""

    hours_ahead: Annotated[int, Field(ge=1, le=24 * 7, description="from the present full hour on")] = 24
    location_id: Annotated[int | None, Field(ge=1, le=265)] = None


class AccuracyPage(Page):
    """Which hours that are over."""

    hours: Annotated[int, Field(ge=1, le=24 * 31, description="how many of the last full hours")] = 168


@router.get("/analytics/zones", **answers(list[ZonePerformance]))
def zones(request: Request, page: Annotated[ZonesPage, Query()]) -> Response:
    """Zones by fares earned, over the New York days asked for."""
    parameters = {"origin": page.origin, "since": page.since, "until": page.until, "borough": page.borough}
    answering: Answering = request.app.state.answering
    return answering.rows(request, ZONES, page, parameters)


@router.get("/analytics/weather-impact", **answers(list[WeatherImpact]))
def weather_impact(request: Request, page: Annotated[DaysPage, Query()]) -> Response:
    """Demand, fares and distance under each weather condition. `derived` says where the weather is not observed."""
    parameters = {"origin": page.origin, "since": page.since, "until": page.until}
    answering: Answering = request.app.state.answering
    return answering.rows(request, WEATHER, page, parameters)


@router.get("/predictions/demand", **answers(list[DemandPrediction]))
def demand(request: Request, page: Annotated[DemandPage, Query()]) -> Response:
    """Pick-ups expected by zone and hour, with the interval and how often such intervals held."""
    now_from = full_hour(present(page.as_of))
    parameters = {"now_from": now_from, "hours_ahead": page.hours_ahead, "location_id": page.location_id}
    answering: Answering = request.app.state.answering
    return answering.rows(request, DEMAND, page, parameters)


@router.get("/predictions/accuracy", **answers(list[PredictionAccuracy]))
def accuracy(request: Request, page: Annotated[AccuracyPage, Query()]) -> Response:
    """How far predictions, made before their hour began, were from what came; newest hours first."""
    parameters = {"now_until": full_hour(present(page.as_of)), "hours": page.hours}
    answering: Answering = request.app.state.answering
    return answering.rows(request, ACCURACY, page, parameters)
