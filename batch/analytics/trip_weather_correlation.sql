-- Trips of the whole city beside the weather. Grain: origin, hour; every hour that the origin covers, also without
-- trips.
with hours as (
    select * from covered_hours
),

city_hours as (
    select
        origin,
        hour,
        sum(pickups) as total_trips,
        sum(fares) as fares,
        sum(miles) as miles,
        sum(measured_trips) as measured_trips
    from zone_hours
    group by origin, hour
)

select
    hours.origin,
    hours.hour,
    hours.weather_condition,
    coalesce(city_hours.total_trips, 0) as total_trips,
    cast(city_hours.fares as double) / city_hours.total_trips as avg_fare_amount,
    cast(city_hours.miles as double) / nullif(city_hours.measured_trips, 0) as avg_trip_distance,
    hours.temperature_celsius,
    hours.precipitation_mm,
    hours.wind_speed_kmh,
    hours.humidity,
    hours.weather_derived
from hours
left join city_hours on city_hours.origin = hours.origin and city_hours.hour = hours.hour
