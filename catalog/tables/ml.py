"""What is known of an hour or a trip before it begins, and what the models make of it."""

from __future__ import annotations

from catalog.tables.analytics import DERIVED, ORIGIN, WRITER
from catalog.tables.table import Column, Table, no_row, not_null, refers_to, unique, within

_CALENDAR = (
    Column("local_hour", "int", "hour of day in New York, 0 to 23", required=True),
    Column("weekday", "int", "in New York, 1 is Sunday, 7 Saturday", required=True),
    Column("is_holiday", "boolean", "public holiday of the state of New York", required=True),
)
_WEATHER = (
    Column("temperature_celsius", "double", "degrees Celsius"),
    Column("precipitation_mm", "double", "rain and melted snow of the hour, millimetres"),
    Column("wind_speed_kmh", "double", "kilometres per hour; null if unknown"),
)

DEMAND_FEATURES = Table(
    namespace="analytics",
    name="demand_prediction_features",
    description="Every zone in every hour, and what is known 24 hours before that hour begins; the next 24 hours too.",
    columns=(
        ORIGIN,
        Column("location_id", "int", "taxi zone of the pick-ups, see reference.taxi_zones", required=True),
        Column("hour", "timestamp", "begin of the hour", required=True),
        Column("pickups", "bigint", "what came: counted trips that began; null as long as the hour is not over"),
        Column("borough", "string", ""),
        *_CALENDAR,
        Column("is_holiday_eve", "boolean", "the day before a holiday", required=True),
        Column("pickups_2_days_before", "bigint", "in this zone, 48 hours before"),
        Column("pickups_1_week_before", "bigint", "in this zone, 168 hours before"),
        Column("pickups_2_weeks_before", "bigint", "in this zone, 336 hours before"),
        Column("pickups_last_day", "bigint", "in this zone, in the 24 hours that end 24 hours before"),
        Column("pickups_last_week", "bigint", "in this zone, in the 168 hours that end 24 hours before"),
        Column("pickups_last_4_weeks", "bigint", "in this zone, in the 672 hours that end 24 hours before"),
        Column("mean_pickups", "double", "an hour, of all hours of the record that end 24 hours before"),
        Column("mean_at_hour", "double", "of this zone at this hour of day, over 4 weeks"),
        Column("mean_at_hour_of_week", "double", "of this zone at this weekday and hour, over 8 weeks"),
        Column("borough_mean_at_hour_of_week", "double", "pick-ups of the borough at this weekday and hour, 8 weeks"),
        Column("city_mean_at_hour_of_week", "double", "pick-ups of the city at this weekday and hour, over 8 weeks"),
        Column("city_pickups_last_day", "bigint", "in the 24 hours that end 24 hours before"),
        Column("city_pickups_last_week", "bigint", "in the 168 hours that end 24 hours before"),
        *_WEATHER,
        Column("humidity", "double", "relative, percent; null where the weather is derived"),
        Column("weather_condition", "string", "as in weather.hourly_weather; null if unknown"),
        DERIVED,
    ),
    key=("origin", "location_id", "hour"),
    partition=("origin", "months(hour)"),
    interval=("origin",),
    writer=WRITER,
    rules=(
        no_row("pickups is not negative", "pickups < 0"),
        no_row("a mean is not negative", "least(mean_pickups, mean_at_hour, mean_at_hour_of_week) < 0"),
        no_row("a day is part of a week", "pickups_last_day > pickups_last_week"),
        *not_null("temperature_celsius", severity="warning", tolerance=0.05),
    ),
)

DEMAND_PREDICTIONS = Table(
    namespace="ml",
    name="demand_prediction_features",
    description="Pick-ups foreseen by zone and hour, the newest prediction of each; those of past hours stay.",
    columns=(
        Column("location_id", "int", "taxi zone, see reference.taxi_zones", required=True),
        Column("prediction_hour", "timestamp", "begin of the hour that is foreseen", required=True),
        Column("predicted_demand", "double", "mean number of pick-ups in the trips of `origin`", required=True),
        Column("lower", "double", "lower end of the 90 % interval, a whole number of pick-ups", required=True),
        Column("upper", "double", "upper end of the 90 % interval, a whole number of pick-ups", required=True),
        Column(
            "weather_impact_factor",
            "double",
            "the prediction / that with the medians of temperature, precipitation and wind which this hour of day had "
            "in the 28 days before: 1.1 is a tenth more because of the weather; null if the weather is unknown",
        ),
        Column(
            "confidence_score",
            "double",
            "share of the last 28 days, at this zone and hour of day, whose interval, foreseen a day ahead by the same "
            "model, held what came; about 0.9 or more when all is well, null with fewer than 7 such hours",
        ),
        DERIVED,
        Column("origin", "string", "the trips that it was learned from and speaks of, `tlc` or `cdc`", required=True),
        Column(
            "shift_weeks",
            "int",
            "weeks by which the hour was moved: without a mirror the hours of TLC's record are foreseen as if it were "
            "now; 0 where nothing was moved",
            required=True,
        ),
        Column("model_version", "string", "model and version as MLflow has them", required=True),
        Column("made_at", "timestamp", "the hour that ran when it was made; what began before is known", required=True),
    ),
    key=("location_id", "prediction_hour"),
    partition=("days(prediction_hour)",),
    interval=("prediction_hour",),
    writer=WRITER,
    rules=(
        unique("location_id", "prediction_hour"),
        refers_to("location_id", "reference.taxi_zones", "location_id"),
        no_row("a prediction is above zero", "predicted_demand <= 0 or isnan(predicted_demand)"),
        no_row("the interval has its ends in order", "lower < 0 or lower > upper"),
        within("confidence_score", 0, 1),
        within("weather_impact_factor", 0.2, 5, severity="warning"),
        *not_null("weather_impact_factor", "confidence_score", severity="warning", tolerance=0.05),
    ),
)

FARE_PREDICTIONS = Table(
    namespace="ml",
    name="fare_prediction_features",
    description="Every counted trip, what is known as it begins and where it goes, and the fare foreseen from that.",
    columns=(
        ORIGIN,
        Column("trip", "string", "`file#row` of TLC's file, or the trip_id of a new one", required=True),
        Column("pickup_at", "timestamp", "", required=True),
        Column("location_id", "int", "zone of the pick-up", required=True),
        Column("dropoff_location_id", "int", "zone of the drop-off"),
        *_CALENDAR,
        Column("passenger_count", "int", "null if unknown"),
        Column("pickup_latitude", "double", "of the zone's centre; null for zones without a shape"),
        Column("pickup_longitude", "double", "of the zone's centre; null for zones without a shape"),
        Column("dropoff_latitude", "double", "of the zone's centre; null for zones without a shape"),
        Column("dropoff_longitude", "double", "of the zone's centre; null for zones without a shape"),
        Column("kilometres", "double", "between the zones' centres, as the crow flies"),
        Column(
            "trips_before", "bigint", "between these zones, in the 12 weeks that end 24 hours before", required=True
        ),
        Column("mean_fare_before", "double", "of those trips, US dollars; null without one"),
        Column("temperature_celsius", "double", "degrees Celsius"),
        Column("precipitation_mm", "double", "rain and melted snow of the hour, millimetres"),
        DERIVED,
        Column("fare_amount", "double", "what it was: US dollars, without tips, tolls and surcharges", required=True),
        Column("predicted_fare", "double", "the median that is expected, US dollars", required=True),
        Column("fare_lower", "double", "lower end of the 90 % interval, US dollars", required=True),
        Column("fare_upper", "double", "upper end of the 90 % interval, US dollars", required=True),
        Column("part", "string", "what the model did with it: `train`, `validation`, `test`; null: nothing"),
        Column("model_version", "string", "model and version as MLflow has them", required=True),
    ),
    key=("origin", "trip"),
    partition=("origin", "months(pickup_at)"),
    interval=("origin",),
    writer=WRITER,
    rules=(
        unique("origin", "trip"),
        refers_to("location_id", "reference.taxi_zones", "location_id"),
        within("predicted_fare", 0, 500),
        no_row("the interval holds the prediction", "predicted_fare not between fare_lower and fare_upper"),
        *not_null("kilometres", severity="warning", tolerance=0.05),
    ),
)
