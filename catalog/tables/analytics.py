"""Metrics of trips, zones and weather.

`origin` keeps the trips of TLC's files (`tlc`, at their true dates) and of the mirror (`cdc`, replayed to now) apart:
the same trip can stand in both, so they are never added up.
"""

from __future__ import annotations

from catalog.tables.table import Column, Rule, Table, near_median, no_row, not_null, refers_to, unique, within

WRITER = "comprehensive_analytics_pipeline"
ORIGIN = Column("origin", "string", "`tlc` (files, true dates) or `cdc` (mirror); never add them up", required=True)
DERIVED = Column("weather_derived", "boolean", "the weather is interpolated or moved, not observed; null if unknown")
WEATHERLESS = 0.05
"""Share of hours whose weather may be unknown: TLC has a few trips of other years."""


def _none_lost(trips: str) -> Rule:
    """The rows to be published hold every counted trip; `zone_hours` is the view that they are computed from."""
    query = f"""
    with published as (select origin, sum({trips}) as trips from candidate group by origin),
    counted as (select origin, sum(pickups) as trips from zone_hours group by origin)
    select published.origin, published.trips, counted.trips as counted_trips
    from published inner join counted using (origin) where published.trips <> counted.trips
    """
    return Rule("every counted trip is in a row", query)


TRIP_WEATHER_CORRELATION = Table(
    namespace="analytics",
    name="trip_weather_correlation",
    description="Trips of the whole city beside Central Park's weather, hour by hour, hours without trips included.",
    columns=(
        ORIGIN,
        Column("hour", "timestamp", "begin of the hour of the pick-ups", required=True),
        Column("weather_condition", "string", "as in weather.hourly_weather; null if unknown"),
        Column(
            "total_trips", "bigint", "counted trips: not refunds, nor impossible durations or speeds", required=True
        ),
        Column("avg_fare_amount", "double", "US dollars, without tips and tolls; null without trips"),
        Column("avg_trip_distance", "double", "miles; null without trips"),
        Column("temperature_celsius", "double", "degrees Celsius"),
        Column("precipitation_mm", "double", "rain and melted snow of the hour, millimetres"),
        Column("wind_speed_kmh", "double", "kilometres per hour; null if unknown"),
        Column("humidity", "double", "relative, percent; null where the weather is derived"),
        DERIVED,
    ),
    key=("origin", "hour"),
    partition=("origin", "months(hour)"),
    interval=("origin",),
    writer=WRITER,
    rules=(
        *not_null("origin", "hour", "total_trips"),
        unique("origin", "hour"),
        within("total_trips", 0, 1_000_000),
        near_median("total_trips", 6, tolerance=0.01),
        within("avg_fare_amount", 0, 1_000, severity="warning"),
        within("avg_trip_distance", 0, 100, severity="warning"),
        within("temperature_celsius", -50, 55),
        within("precipitation_mm", 0, 200),
        *not_null("weather_condition", severity="warning", tolerance=WEATHERLESS),
        _none_lost("total_trips"),
    ),
)

ZONE_PERFORMANCE_METRICS = Table(
    namespace="analytics",
    name="zone_performance_metrics",
    description="Each zone on each New York day, days without pick-ups included once the zone had one.",
    columns=(
        ORIGIN,
        Column("trip_date", "date", "New York day of the pick-ups", required=True),
        Column("location_id", "int", "taxi zone, see reference.taxi_zones", required=True),
        Column("zone_name", "string", "several zones can share a name"),
        Column("borough", "string", ""),
        Column("total_pickups", "bigint", "counted trips that began in the zone", required=True),
        Column(
            "total_revenue", "decimal(18, 2)", "fares in US dollars, without tips, tolls and surcharges", required=True
        ),
        Column("avg_fare_per_pickup", "double", "total_revenue / total_pickups; null without pick-ups"),
        Column(
            "peak_hour_factor",
            "double",
            "pick-ups of the zone's busiest hour / its mean pick-ups an hour of that day (on the newest day: of the "
            "hours until the newest trip); 1 is an even day, null one without pick-ups",
        ),
        Column(
            "weather_impact_score",
            "double",
            "1 - (pick-ups in the day's wet hours + 1) / (those expected + 1): 0.2 is a fifth fewer than usual, below "
            "0 is more. Expected is the zone's mean at that weekday and hour, wet is 0.1 mm an hour or more; the added "
            "1 draws the score of few pick-ups to 0. 0 without a wet hour, null if the weather is unknown",
        ),
        Column("wet_hours", "int", "hours of the day with 0.1 mm or more", required=True),
        DERIVED,
    ),
    key=("origin", "trip_date", "location_id"),
    partition=("origin", "months(trip_date)"),
    interval=("origin",),
    writer=WRITER,
    rules=(
        *not_null("origin", "trip_date", "location_id", "total_pickups", "total_revenue"),
        unique("origin", "trip_date", "location_id"),
        refers_to("location_id", "reference.taxi_zones", "location_id"),
        within("total_revenue", 0, 100_000_000),
        within("peak_hour_factor", 1, 25),
        no_row("weather_impact_score is at most 1", "weather_impact_score > 1"),
        within("avg_fare_per_pickup", 0, 500, severity="warning"),
        *not_null("weather_impact_score", severity="warning", tolerance=WEATHERLESS),
        _none_lost("total_pickups"),
    ),
)

SURGE_INSIGHT = Table(
    namespace="analytics",
    name="surge_insight",
    description="When a zone is busy and when it surged, by weekday and hour of New York; hours with a pick-up only.",
    columns=(
        ORIGIN,
        Column("location_id", "int", "taxi zone, see reference.taxi_zones", required=True),
        Column("zone_name", "string", "several zones can share a name"),
        Column("borough", "string", ""),
        Column("weekday", "int", "New York, 1 is Sunday, 7 Saturday", required=True),
        Column("hour_of_day", "int", "New York, 0 to 23", required=True),
        Column("mean_pickups", "double", "counted pick-ups of this hour on a day of this weekday", required=True),
        Column("peak_rank", "int", "1 is the zone's peak hour on this weekday, by mean_pickups", required=True),
        Column("surges", "bigint", "hours with more than mean + 3 √mean + 1 pick-ups", required=True),
        Column("busiest_pickups", "bigint", "most pick-ups that the hour ever had", required=True),
        Column("busiest_at", "timestamp", "the latest hour that had them", required=True),
    ),
    key=("origin", "location_id", "weekday", "hour_of_day"),
    partition=("origin",),
    interval=("origin",),
    writer=WRITER,
    rules=(
        *not_null("origin", "location_id", "mean_pickups", "peak_rank"),
        unique("origin", "location_id", "weekday", "hour_of_day"),
        within("weekday", 1, 7),
        within("hour_of_day", 0, 23),
        within("busiest_pickups", 1, 100_000),
    ),
)
