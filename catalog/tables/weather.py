"""Hourly weather of New York and the places it is known for."""

from __future__ import annotations

from catalog.tables.table import Column, Rule, Table, not_null, unique, within

WRITER = "nyc_weather_etl"
RANGES: dict[str, tuple[float, float]] = {
    "temperature_celsius": (-50, 55),
    "humidity": (0, 100),
    "wind_speed_kmh": (0, 250),
    "precipitation_mm": (0, 200),
}
"""What an hour in New York can be, with room to spare; a reading outside is an instrument's or a unit's error."""
MOST_QUARANTINED = 0.05
"""Share of a load's rows that may be set aside or missing before the load itself is wrong."""

PLACES_KNOWN = Rule(
    "location_id stands in weather.locations",
    "select * from candidate where location_id not in (select location_id from locations)",
)
"""`locations` is the view of the rows that the same run brings to weather.locations."""

HOURS_CONTINUOUS = Rule(
    "no hour is missing",
    """
    with spans as (
        select location_id, min(observed_at) as first, max(observed_at) as last from candidate group by location_id
    ),
    expected as (
        select location_id, explode(sequence(first, last, interval 1 hour)) as observed_at from spans
    )
    select location_id, observed_at from expected left anti join candidate using (location_id, observed_at)
    """,
    tolerance=MOST_QUARANTINED,
)
"""A breach is an hour between the first and the last of a place that the load does not hold."""

TEMPERATURE_OUTLIERS = Rule(
    "temperature within 6 deviations of its month",
    """
    with medians as (
        select location_id, year, month, median(temperature_celsius) as middle
        from candidate group by location_id, year, month
    ),
    distances as (
        select c.*, abs(c.temperature_celsius - m.middle) as distance
        from candidate as c inner join medians as m using (location_id, year, month)
    ),
    deviations as (
        -- 1.4826 makes the median absolute deviation of a normal distribution its standard deviation
        select location_id, year, month, 1.4826 * median(distance) as deviation
        from distances group by location_id, year, month
    )
    select location_id, observed_at, temperature_celsius
    from distances inner join deviations using (location_id, year, month)
    where distance > 6 * greatest(deviation, 1.0)
    """,
    severity="warning",
)

HOURLY_WEATHER = Table(
    namespace="weather",
    name="hourly_weather",
    description=(
        "One row per place and hour. A measured hour is never replaced by a derived one, nor an hour that was by a "
        "forecast of it; otherwise what was loaded later stands."
    ),
    columns=(
        Column("location_id", "int", "place, see weather.locations", required=True),
        Column("observed_at", "timestamp", "begin of the hour", required=True),
        Column("temperature_celsius", "double", "degrees Celsius, 2 m above ground", required=True),
        Column("humidity", "double", "relative, percent; null where it is derived"),
        Column("wind_speed_kmh", "double", "kilometres per hour, 10 m above ground; null where unknown"),
        Column("precipitation_mm", "double", "rain and melted snow of the hour, millimetres", required=True),
        Column(
            "weather_condition",
            "string",
            "clear, cloudy, fog, drizzle, rain, snow, thunderstorm; of derived hours dry, rain, snow",
        ),
        Column("derived", "boolean", "interpolated from the daily record of Central Park", required=True),
        Column("shift_weeks", "int", "weeks by which the derived day was moved; null at its true date"),
        Column("forecast_at", "timestamp", "when the hour was forecast; null once it was over when it was loaded"),
        Column("source", "string", "the file or the interface that it comes from", required=True),
        Column("fetch_id", "string", "SHA-256 of the raw input, under which it is kept", required=True),
        Column("year", "int", "of observed_at in UTC", required=True),
        Column("month", "int", "of observed_at in UTC, 1 to 12", required=True),
        Column("day", "int", "of observed_at in UTC", required=True),
    ),
    key=("location_id", "observed_at"),
    partition=("year", "month", "day"),
    interval=("year", "month", "day"),
    writer=WRITER,
    rules=(
        *not_null("location_id", "observed_at", "temperature_celsius", "precipitation_mm"),
        *(within(column, low, high) for column, (low, high) in RANGES.items()),
        unique("location_id", "observed_at"),
        PLACES_KNOWN,
        HOURS_CONTINUOUS,
        TEMPERATURE_OUTLIERS,
    ),
)

LOCATIONS = Table(
    namespace="weather",
    name="locations",
    description="Places in and around New York that weather is loaded for.",
    columns=(
        Column("location_id", "int", "", required=True),
        Column("name", "string", "", required=True),
        Column("latitude", "double", "degrees north, WGS 84", required=True),
        Column("longitude", "double", "degrees east, WGS 84", required=True),
        Column("borough", "string", "as TLC's zones write it", required=True),
        Column("coordinates_from", "string", "where the coordinates come from", required=True),
    ),
    key=("location_id",),
    writer=WRITER,
    rules=(
        unique("location_id"),
        unique("name"),
        within("latitude", 40.4, 41.0),
        within("longitude", -74.3, -73.6),
    ),
)
