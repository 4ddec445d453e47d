-- Grain: one row per origin, zone and hour, with what is known of it 24 hours before it begins. Every count of trips
-- ends with the hour that begins 25 hours before this one; the weather of the hour itself stands for its forecast.
-- Inputs: calendar (the hours, as New York knows them; `is_past` where their trips are known), trips, weather_hours.
with zones as (
    select location_id, borough from reference.taxi_zones
),

demand as (
    select origin, location_id, date_trunc('hour', pickup_at) as hour, count(*) as pickups
    from trips
    where counted
    group by origin, location_id, date_trunc('hour', pickup_at)
),

grid as (
    select
        calendar.origin,
        zones.location_id,
        calendar.hour,
        calendar.hour_number,
        calendar.local_hour,
        calendar.weekday,
        coalesce(demand.pickups, 0) as pickups
    from calendar
    cross join zones
    left join demand
        on demand.origin = calendar.origin
        and demand.hour = calendar.hour
        and demand.location_id = zones.location_id
),

running as (
    select
        *,
        sum(pickups) over (
            partition by origin, location_id order by hour rows between unbounded preceding and current row
        ) as pickups_until_now
    from grid
),

lagged as (
    select
        *,
        lag(pickups, 48) over by_hour as pickups_2_days_before,
        lag(pickups, 168) over by_hour as pickups_1_week_before,
        lag(pickups, 336) over by_hour as pickups_2_weeks_before,
        lag(pickups_until_now, 25) over by_hour - lag(pickups_until_now, 49) over by_hour as pickups_last_day,
        lag(pickups_until_now, 25) over by_hour - lag(pickups_until_now, 193) over by_hour as pickups_last_week,
        lag(pickups_until_now, 25) over by_hour - lag(pickups_until_now, 697) over by_hour as pickups_last_4_weeks,
        lag(pickups_until_now, 25) over by_hour / lag(hour_number, 25) over by_hour as mean_pickups
    from running
    window by_hour as (partition by origin, location_id order by hour)
),

zone_profiles as (
    select
        *,
        avg(pickups) over (
            partition by origin, location_id, local_hour order by hour
            range between interval 672 hours preceding and interval 25 hours preceding
        ) as mean_at_hour,
        avg(pickups) over (
            partition by origin, location_id, local_hour, weekday order by hour
            range between interval 1344 hours preceding and interval 25 hours preceding
        ) as mean_at_hour_of_week
    from lagged
),

borough_demand as (
    select origin, borough, hour, sum(pickups) as pickups
    from demand
    inner join zones using (location_id)
    group by origin, borough, hour
),

borough_hours as (
    select
        calendar.origin,
        boroughs.borough,
        calendar.hour,
        calendar.local_hour,
        calendar.weekday,
        coalesce(borough_demand.pickups, 0) as pickups
    from calendar
    cross join (select distinct borough from zones) as boroughs
    left join borough_demand
        on borough_demand.origin = calendar.origin
        and borough_demand.hour = calendar.hour
        and borough_demand.borough = boroughs.borough
),

borough_profiles as (
    select
        origin,
        borough,
        hour,
        avg(pickups) over (
            partition by origin, borough, local_hour, weekday order by hour
            range between interval 1344 hours preceding and interval 25 hours preceding
        ) as borough_mean_at_hour_of_week
    from borough_hours
),

city_hours as (
    select origin, hour, local_hour, weekday, sum(pickups) as pickups
    from borough_hours
    group by origin, hour, local_hour, weekday
),

city_profiles as (
    select
        origin,
        hour,
        avg(pickups) over (
            partition by origin, local_hour, weekday order by hour
            range between interval 1344 hours preceding and interval 25 hours preceding
        ) as city_mean_at_hour_of_week,
        sum(pickups) over (
            partition by origin order by hour
            range between interval 48 hours preceding and interval 25 hours preceding
        ) as city_pickups_last_day,
        sum(pickups) over (
            partition by origin order by hour
            range between interval 192 hours preceding and interval 25 hours preceding
        ) as city_pickups_last_week
    from city_hours
)

select
    zone_profiles.origin,
    zone_profiles.location_id,
    zone_profiles.hour,
    case when calendar.is_past then zone_profiles.pickups end as pickups,
    zones.borough,
    calendar.local_hour,
    calendar.weekday,
    calendar.is_holiday,
    calendar.is_holiday_eve,
    zone_profiles.pickups_2_days_before,
    zone_profiles.pickups_1_week_before,
    zone_profiles.pickups_2_weeks_before,
    zone_profiles.pickups_last_day,
    zone_profiles.pickups_last_week,
    zone_profiles.pickups_last_4_weeks,
    zone_profiles.mean_pickups,
    zone_profiles.mean_at_hour,
    zone_profiles.mean_at_hour_of_week,
    borough_profiles.borough_mean_at_hour_of_week,
    city_profiles.city_mean_at_hour_of_week,
    city_profiles.city_pickups_last_day,
    city_profiles.city_pickups_last_week,
    weather_hours.temperature_celsius,
    weather_hours.precipitation_mm,
    weather_hours.wind_speed_kmh,
    weather_hours.humidity,
    weather_hours.weather_condition,
    weather_hours.derived as weather_derived
from zone_profiles
inner join calendar on calendar.origin = zone_profiles.origin and calendar.hour = zone_profiles.hour
inner join zones on zones.location_id = zone_profiles.location_id
inner join borough_profiles
    on borough_profiles.origin = zone_profiles.origin
    and borough_profiles.hour = zone_profiles.hour
    and borough_profiles.borough = zones.borough
inner join city_profiles on city_profiles.origin = zone_profiles.origin and city_profiles.hour = zone_profiles.hour
left join weather_hours on weather_hours.origin = zone_profiles.origin and weather_hours.hour = zone_profiles.hour
