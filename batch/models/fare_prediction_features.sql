-- Grain: one row per counted trip of one origin, with what is known as it begins, and its fare. Fares of other trips
-- are those of trips that began 24 hours before it or earlier, and so have ended.
-- Inputs: calendar (the hours, as New York knows them), trips, weather_hours.
with zones as (
    select
        location_id,
        centroid_latitude as latitude,
        centroid_longitude as longitude,
        radians(centroid_latitude) as phi,
        radians(centroid_longitude) as theta
    from reference.taxi_zones
),

counted_trips as (
    select *, date_trunc('hour', pickup_at) as hour, cast(fare_amount as double) as fare
    from trips
    where counted
),

with_past as (
    select
        *,
        count(fare) over same_way as trips_before,
        avg(fare) over same_way as mean_fare_before
    from counted_trips
    window same_way as (
        partition by origin, location_id, dropoff_location_id order by pickup_at
        range between interval 2016 hours preceding and interval 24 hours preceding
    )
)

select
    with_past.origin,
    with_past.trip,
    with_past.pickup_at,
    with_past.location_id,
    with_past.dropoff_location_id,
    calendar.local_hour,
    calendar.weekday,
    calendar.is_holiday,
    with_past.passenger_count,
    pickup.latitude as pickup_latitude,
    pickup.longitude as pickup_longitude,
    dropoff.latitude as dropoff_latitude,
    dropoff.longitude as dropoff_longitude,
    2 * 6371 * asin(sqrt(
        pow(sin((dropoff.phi - pickup.phi) / 2), 2)
        + cos(pickup.phi) * cos(dropoff.phi) * pow(sin((dropoff.theta - pickup.theta) / 2), 2)
    )) as kilometres,
    with_past.trips_before,
    with_past.mean_fare_before,
    weather_hours.temperature_celsius,
    weather_hours.precipitation_mm,
    weather_hours.derived as weather_derived,
    with_past.fare as fare_amount
from with_past
inner join calendar on calendar.origin = with_past.origin and calendar.hour = with_past.hour
left join zones as pickup on pickup.location_id = with_past.location_id
left join zones as dropoff on dropoff.location_id = with_past.dropoff_location_id
left join weather_hours on weather_hours.origin = with_past.origin and weather_hours.hour = with_past.hour
