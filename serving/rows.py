"""What a row of each answer holds: the API documents it by these models, the client reads it into them.

Times are UTC, money is US dollars. Fields that can be unknown are null.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Data = TypeVar("Data")
Money = Annotated[Decimal, WithJsonSchema({"type": "number"})]
"""US dollars; in JSON a number with all its digits."""


class Row(BaseModel):
    """A row; fields that a newer API adds are kept."""

    model_config = ConfigDict(extra="allow")


class Position(BaseModel):
    """How far in its Kafka topic a table of the stream has been brought."""

    next_offsets: dict[str, int] = Field(description="by partition, the next offset to apply")
    lsn: int | None = Field(description="highest LSN applied")
    lsn_text: str | None = Field(description="the same as Postgres writes it")


class Snapshot(BaseModel):
    """A table as it was read."""

    table: str
    snapshot_id: str | None = Field(description="null where the table is not there or has no rows")
    committed_at: datetime | None
    age_seconds: float | None = Field(description="since that snapshot was committed")
    position: Position | None = Field(description="null for tables that the stream does not write")


class Meta(BaseModel):
    """What is said of an answer."""

    rows: int
    snapshots: list[Snapshot]
    freshness_seconds: float | None = Field(
        description="age of the snapshot that the rows are about, the oldest of several"
    )
    derived: bool = Field(description="whether some value is interpolated or shifted rather than observed")
    reason: str | None = Field(description="why there are no rows; null where there are some")
    next_cursor: str | None = Field(description="null on the last page")


class Envelope(BaseModel, Generic[Data]):
    """An answer in JSON."""

    data: Data
    meta: Meta


class DashboardStats(Row):
    """The last full hours against those before them. Changes are null where there was nothing before."""

    window_start: datetime
    window_end: datetime = Field(description="the last full hour that has ended")
    trips: int = Field(description="by pick-up, in the window")
    trips_before: int = Field(description="in the window of the same length before")
    trips_change_percent: float | None
    revenue: Money = Field(description="sum of total_amount")
    revenue_before: Money
    revenue_change_percent: float | None
    average_fare: float | None = Field(description="mean fare_amount")
    average_fare_before: float | None
    average_fare_change_percent: float | None
    average_distance_miles: float | None
    average_distance_miles_before: float | None
    average_distance_miles_change_percent: float | None
    active_zones: int = Field(description="zones with a pick-up in the window")
    active_zones_before: int
    total_trips: int = Field(description="all trips of the mirror")
    total_revenue: Money
    first_pickup_at: datetime | None
    last_pickup_at: datetime | None


class HourOfTrips(Row):
    """A full hour of trips, by pick-up."""

    hour: datetime = Field(description="its begin")
    trips: int
    revenue: Money = Field(description="sum of total_amount")
    average_fare: float | None = Field(description="mean fare_amount; null without trips")
    active_zones: int = Field(description="zones with a pick-up")


class Trip(Row):
    """A trip as it stands in the mirror."""

    trip_id: int
    pickup_at: datetime
    dropoff_at: datetime | None
    pickup_location_id: int
    pickup_zone: str | None
    pickup_borough: str | None
    dropoff_location_id: int | None
    dropoff_zone: str | None
    passenger_count: int | None
    trip_distance: Annotated[Decimal, WithJsonSchema({"type": "number"})] | None = Field(description="miles")
    payment_type: int | None
    fare_amount: Money
    tip_amount: Money
    tolls_amount: Money
    total_amount: Money
    updated_at: datetime


class ZonePerformance(Row):
    """A zone over the days asked for."""

    location_id: int
    zone_name: str | None
    borough: str | None
    days: int = Field(description="with at least one pick-up")
    total_pickups: int
    total_revenue: Money
    average_fare: float | None = Field(description="mean fare of a pick-up")
    average_peak_hour_factor: float | None = Field(description="busiest hour against the mean hour, mean over days")
    average_weather_impact_score: float | None = Field(description="share of pick-ups missing in wet hours")
    derived: bool


class WeatherImpact(Row):
    """Demand under one weather condition."""

    weather_condition: str | None
    hours: int
    total_trips: int
    average_trips_per_hour: float | None
    average_fare: float | None
    average_distance_miles: float | None
    average_temperature_celsius: float | None
    average_precipitation_mm: float | None
    temperature_correlation: float | None = Field(description="of temperature and trips, over the hours")
    derived: bool


class DemandPrediction(Row):
    """The newest prediction for a zone and hour."""

    origin: str = Field(description="trips that it speaks of: `cdc` of the mirror, `tlc` of TLC's files")
    location_id: int
    zone_name: str | None
    borough: str | None
    prediction_hour: datetime
    predicted_demand: float | None = Field(description="mean number of pick-ups in those trips")
    lower: float | None = Field(description="of the 90 % interval")
    upper: float | None
    weather_impact_factor: float | None
    confidence_score: float | None = Field(description="share of recent intervals that held the truth")
    derived: bool = Field(description="whether the weather it rests on is derived")
    model_version: str | None
    made_at: datetime | None


class PredictionAccuracy(Row):
    """Predictions of one hour that is over, made before it began, against what came."""

    origin: str
    prediction_hour: datetime
    zones: int = Field(description="of which both are known")
    predicted_demand: float = Field(description="sum over these zones")
    pickups: int = Field(description="what came there")
    mean_absolute_error: float = Field(description="pick-ups by zone")
    share_within_interval: float = Field(description="of the zones; 0.9 is what is aimed at")
    derived: bool = Field(description="whether the weather they rest on is derived")


class ZoneActivity(Row):
    """A zone's newest window of the last hour."""

    zone_id: int
    zone_name: str | None
    borough: str | None
    activity_timestamp: datetime = Field(description="end of the window")
    activity_score: float | None = Field(description="1 is usual for that weekday and hour")
    revenue_last_hour: Money | None
    pickup_count: int | None = Field(description="of the last hour")


class ColumnShape(Row):
    """A column and its Iceberg type."""

    name: str
    type: str


class LakeTable(Row):
    """A table of the lake."""

    table: str
    description: str | None = Field(description="null for tables that follow a source table")
    rows: int | None
    snapshot_id: str | None
    committed_at: datetime | None
    columns: list[ColumnShape]
