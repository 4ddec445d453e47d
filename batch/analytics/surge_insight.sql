-- When a zone is busy, and when it was busier than that. Grain: origin, location_id, weekday, hour_of_day (New York)
-- with a pick-up. An hour is a surge when its pick-ups are above mean + 3 √mean + 1: pick-ups scatter like a Poisson
-- count, whose deviation is √mean, and the 1 keeps a single pick-up of a quiet hour from being one.
with hours as (
    select * from covered_hours
),

zones as (
    select location_id, zone, borough from reference.taxi_zones
),

weekdays as (
    select origin, weekday, count(distinct trip_date) as days
    from hours
    group by origin, weekday
),

pickups as (
    select
        zone_hours.origin,
        zone_hours.location_id,
        hours.weekday,
        hours.hour_of_day,
        zone_hours.hour,
        zone_hours.pickups,
        weekdays.days,
        sum(zone_hours.pickups) over (
            partition by zone_hours.origin, zone_hours.location_id, hours.weekday, hours.hour_of_day
        ) / weekdays.days as mean_pickups
    from zone_hours
    inner join hours on hours.origin = zone_hours.origin and hours.hour = zone_hours.hour
    inner join weekdays on weekdays.origin = hours.origin and weekdays.weekday = hours.weekday
),

weekly_hours as (
    select
        origin,
        location_id,
        weekday,
        hour_of_day,
        mean_pickups,
        count_if(pickups > mean_pickups + 3 * sqrt(mean_pickups) + 1) as surges,
        max(struct(pickups, hour)) as busiest
    from pickups
    group by origin, location_id, weekday, hour_of_day, mean_pickups
)

select
    weekly_hours.origin,
    weekly_hours.location_id,
    zones.zone as zone_name,
    zones.borough,
    weekly_hours.weekday,
    weekly_hours.hour_of_day,
    weekly_hours.mean_pickups,
    rank() over (
        partition by weekly_hours.origin, weekly_hours.location_id, weekly_hours.weekday
        order by weekly_hours.mean_pickups desc
    ) as peak_rank,
    weekly_hours.surges,
    weekly_hours.busiest.pickups as busiest_pickups,
    weekly_hours.busiest.hour as busiest_at
from weekly_hours
left join zones on zones.location_id = weekly_hours.location_id
