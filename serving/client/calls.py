"""What each method of the client asks for: path, parameters and the model of a row. The two clients share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from serving.rows import (
    DemandPrediction,
    HourOfTrips,
    LakeTable,
    PredictionAccuracy,
    Row,
    Trip,
    WeatherImpact,
    ZoneActivity,
    ZonePerformance,
)
from serving.status import QualityResult

PAGE = 1000
"""Most rows of one answer."""
STREAM = "/api/v1/realtime/activity/stream"
Origin = Literal["cdc", "tlc"]
RowModel = TypeVar("RowModel", bound=BaseModel)


@dataclass(frozen=True)
class Call(Generic[RowModel]):
    """A request for rows; parameters that are None are left out."""

    path: str
    model: type[RowModel]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def page(self, limit: int, cursor: str | None) -> Call[RowModel]:
        """The call for one page. A cursor stands for the past that the first page named."""
        past = {"as_of": None} if cursor else {}
        return replace(self, parameters={**self.parameters, "limit": limit, "cursor": cursor, **past})

    @property
    def query(self) -> dict[str, Any]:
        """Parameters as they stand in the URL."""
        return {name: _text(value) for name, value in self.parameters.items() if value is not None}


def trips(location_id: int | None, since: datetime | None, as_of: str | None) -> Call[Trip]:
    """Recent trips."""
    return Call("/api/v1/trips/recent", Trip, {"location_id": location_id, "since": since, "as_of": as_of})


def series(hours: int, as_of: str | None) -> Call[HourOfTrips]:
    """Trips by hour."""
    return Call("/api/v1/dashboard/series", HourOfTrips, {"hours": hours, "as_of": as_of})


def zones(
    origin: Origin, since: date | None, until: date | None, borough: str | None, as_of: str | None
) -> Call[ZonePerformance]:
    """Zones over days."""
    parameters = {"origin": origin, "since": since, "until": until, "borough": borough, "as_of": as_of}
    return Call("/api/v1/analytics/zones", ZonePerformance, parameters)


def weather(origin: Origin, since: date | None, until: date | None, as_of: str | None) -> Call[WeatherImpact]:
    """Weather conditions over days."""
    parameters = {"origin": origin, "since": since, "until": until, "as_of": as_of}
    return Call("/api/v1/analytics/weather-impact", WeatherImpact, parameters)


def demand(hours_ahead: int, location_id: int | None, as_of: str | None) -> Call[DemandPrediction]:
    """Hours to come."""
    parameters = {"hours_ahead": hours_ahead, "location_id": location_id, "as_of": as_of}
    return Call("/api/v1/predictions/demand", DemandPrediction, parameters)


def accuracy(hours: int, as_of: str | None) -> Call[PredictionAccuracy]:
    """Hours that were foreseen and are over."""
    return Call("/api/v1/predictions/accuracy", PredictionAccuracy, {"hours": hours, "as_of": as_of})


def activity(as_of: str | None) -> Call[ZoneActivity]:
    """Activity of the last hour."""
    return Call("/api/v1/realtime/activity", ZoneActivity, {"as_of": as_of})


def tables() -> Call[LakeTable]:
    """The list of tables."""
    return Call("/api/v1/tables", LakeTable)


def table(
    name: str, columns: Sequence[str] | None, where: Sequence[str], order_by: str | None, as_of: str | None
) -> Call[Row]:
    """Rows of `namespace.table`."""
    namespace, _, plain = name.partition(".")
    named = ",".join(columns) if columns else None
    parameters = {"columns": named, "where": list(where) or None, "order_by": order_by, "as_of": as_of}
    return Call(f"/api/v1/tables/{_segment(namespace)}/{_segment(plain)}", Row, parameters)


def quality(
    dataset: str | None, severity: Literal["error", "warning"] | None, passed: bool | None, as_of: str | None
) -> Call[QualityResult]:
    """Results of quality rules."""
    parameters = {"dataset": dataset, "severity": severity, "passed": passed, "as_of": as_of}
    return Call("/api/v1/quality", QualityResult, parameters)


def _segment(name: str) -> str:
    return quote(name, safe="")


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else value
