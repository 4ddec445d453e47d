-- Grain: one full hour of the last $hours ones, from the hour of the first trip on; an hour without trips has zeros.
-- Inputs: view trips; $now_until, the end of the last hour; $hours.
with
known as (
    select date_trunc('hour', min(pickup_at)) as first_hour
    from trips
),
hours as (
    select $now_until::timestamptz - ago.n * interval 1 hour as hour
    from unnest(generate_series(1, $hours::bigint)) as ago (n)
),
counted as (
    select
        date_trunc('hour', pickup_at) as hour,
        count(*) as trips,
        sum(total_amount) as revenue,
        avg(fare_amount) as average_fare,
        count(distinct pickup_location_id) as active_zones
    from trips
    where pickup_at >= $now_until::timestamptz - $hours::bigint * interval 1 hour
        and pickup_at < $now_until::timestamptz
    group by 1
)
select
    hours.hour,
    coalesce(counted.trips, 0) as trips,
    coalesce(counted.revenue, 0) as revenue,
    counted.average_fare,
    coalesce(counted.active_zones, 0) as active_zones
from hours
inner join known on hours.hour >= known.first_hour
left join counted on counted.hour = hours.hour
