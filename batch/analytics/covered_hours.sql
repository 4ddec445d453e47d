-- The hours that an origin's trips cover, with their weather: every hour of each New York day that has a counted trip,
-- up to the hour of the newest one, so that an hour without trips counts as one. Grain: origin, hour. A wet hour has
-- 0.1 mm of rain or melted snow at least; less is what meteorology calls a trace. Weather that is not known is null.
with busy_hours as (
    select
        origin,
        hour,
        to_date(from_utc_timestamp(hour, 'America/New_York')) as trip_date
    from zone_hours
),

days as (
    select
        origin,
        trip_date,
        to_utc_timestamp(cast(trip_date as timestamp), 'America/New_York') as first_hour,
        to_utc_timestamp(cast(date_add(trip_date, 1) as timestamp), 'America/New_York') - interval 1 hour as last_hour,
        max(max(hour)) over (partition by origin) as newest_hour
    from busy_hours
    group by origin, trip_date
),

hours as (
    select
        origin,
        trip_date,
        explode(sequence(first_hour, least(last_hour, newest_hour), interval 1 hour)) as hour
    from days
)

select
    hours.origin,
    hours.hour,
    hours.trip_date,
    dayofweek(hours.trip_date) as weekday,
    hour(from_utc_timestamp(hours.hour, 'America/New_York')) as hour_of_day,
    weather.temperature_celsius,
    weather.precipitation_mm,
    weather.wind_speed_kmh,
    weather.humidity,
    weather.weather_condition,
    weather.derived as weather_derived,
    weather.precipitation_mm >= 0.1 as is_wet
from hours
left join weather_hours as weather on weather.origin = hours.origin and weather.hour = hours.hour
