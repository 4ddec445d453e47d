-- How each zone did each day. Grain: origin, trip_date (New York), location_id; every zone in which the origin has a
-- pick-up at all, on every day that the origin covers, so that a mean over days counts the days without pick-ups too.
-- Shares and expectations are added as decimals: their sums do not depend on the order of the rows.
with hours as (
    select * from covered_hours
),

zones as (
    select location_id, zone, borough from reference.taxi_zones
),

pickups as (
    select
        zone_hours.origin,
        zone_hours.location_id,
        hours.trip_date,
        hours.weekday,
        hours.hour_of_day,
        hours.is_wet,
        zone_hours.pickups,
        zone_hours.fares
    from zone_hours
    inner join hours on hours.origin = zone_hours.origin and hours.hour = zone_hours.hour
),

days as (
    select
        origin,
        trip_date,
        weekday,
        count(*) as hours,
        count(is_wet) as hours_of_known_weather,
        count_if(is_wet) as wet_hours,
        bool_or(weather_derived) as weather_derived
    from hours
    group by origin, trip_date, weekday
),

weekdays as (
    select origin, weekday, count(*) as days
    from days
    group by origin, weekday
),

usual as (
    select
        pickups.origin,
        pickups.location_id,
        pickups.weekday,
        pickups.hour_of_day,
        cast(sum(pickups.pickups) as decimal(18, 0)) / max(weekdays.days) as pickups
    from pickups
    inner join weekdays on weekdays.origin = pickups.origin and weekdays.weekday = pickups.weekday
    group by pickups.origin, pickups.location_id, pickups.weekday, pickups.hour_of_day
),

expected_when_wet as (
    select hours.origin, hours.trip_date, usual.location_id, cast(sum(usual.pickups) as double) as pickups
    from hours
    inner join usual
        on usual.origin = hours.origin and usual.weekday = hours.weekday and usual.hour_of_day = hours.hour_of_day
    where hours.is_wet
    group by hours.origin, hours.trip_date, usual.location_id
),

zone_days as (
    select
        origin,
        location_id,
        trip_date,
        sum(pickups) as total_pickups,
        sum(fares) as total_revenue,
        max(pickups) as busiest,
        sum(case when is_wet then pickups else 0 end) as wet_pickups
    from pickups
    group by origin, location_id, trip_date
),

every_zone_day as (
    select days.*, known.location_id
    from days
    inner join (select distinct origin, location_id from zone_hours) as known on known.origin = days.origin
)

select
    each.origin,
    each.trip_date,
    each.location_id,
    zones.zone as zone_name,
    zones.borough,
    coalesce(zone_days.total_pickups, 0) as total_pickups,
    coalesce(zone_days.total_revenue, 0) as total_revenue,
    cast(zone_days.total_revenue as double) / zone_days.total_pickups as avg_fare_per_pickup,
    cast(zone_days.busiest as double) * each.hours / zone_days.total_pickups as peak_hour_factor,
    case
        when each.hours_of_known_weather = 0 then null
        when each.wet_hours = 0 then 0
        else 1 - (coalesce(zone_days.wet_pickups, 0) + 1) / (coalesce(expected_when_wet.pickups, 0) + 1)
    end as weather_impact_score,
    each.wet_hours,
    each.weather_derived
from every_zone_day as each
left join zones on zones.location_id = each.location_id
left join zone_days
    on zone_days.origin = each.origin
    and zone_days.location_id = each.location_id
    and zone_days.trip_date = each.trip_date
left join expected_when_wet
    on expected_when_wet.origin = each.origin
    and expected_when_wet.location_id = each.location_id
    and expected_when_wet.trip_date = each.trip_date
