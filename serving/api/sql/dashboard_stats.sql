-- Grain: one row. The trips of the last $hours full hours, those of as many hours before, and all of them.
-- Inputs: view trips; $now_until, the end of the window; $hours.
with
bounds as (
    select
        $now_until::timestamptz as window_end,
        $now_until::timestamptz - $hours::bigint * interval 1 hour as window_start
),
windows as (
    -- the bounds stand here as values, so that files outside of them are not read
    select *, pickup_at >= $now_until::timestamptz - $hours::bigint * interval 1 hour as is_now
    from trips
    where pickup_at >= $now_until::timestamptz - 2 * $hours::bigint * interval 1 hour
        and pickup_at < $now_until::timestamptz
),
everything as (
    select
        count(*) as total_trips,
        sum(total_amount) as total_revenue,
        min(pickup_at) as first_pickup_at,
        max(pickup_at) as last_pickup_at
    from trips
),
measured as (
    select
        count(*) filter (where is_now) as trips,
        count(*) filter (where not is_now) as trips_before,
        sum(total_amount) filter (where is_now) as revenue,
        sum(total_amount) filter (where not is_now) as revenue_before,
        avg(fare_amount) filter (where is_now) as average_fare,
        avg(fare_amount) filter (where not is_now) as average_fare_before,
        avg(trip_distance) filter (where is_now) as average_distance,
        avg(trip_distance) filter (where not is_now) as average_distance_before,
        count(distinct pickup_location_id) filter (where is_now) as active_zones,
        count(distinct pickup_location_id) filter (where not is_now) as active_zones_before
    from windows
)
select
    window_start,
    window_end,
    trips,
    trips_before,
    100.0 * (trips - trips_before) / nullif(trips_before, 0) as trips_change_percent,
    coalesce(revenue, 0) as revenue,
    coalesce(revenue_before, 0) as revenue_before,
    100.0 * (coalesce(revenue, 0) - revenue_before)::double / nullif(revenue_before, 0) as revenue_change_percent,
    average_fare,
    average_fare_before,
    100.0 * (average_fare - average_fare_before) / nullif(average_fare_before, 0) as average_fare_change_percent,
    average_distance as average_distance_miles,
    average_distance_before as average_distance_miles_before,
    100.0 * (average_distance - average_distance_before)
        / nullif(average_distance_before, 0) as average_distance_miles_change_percent,
    active_zones,
    active_zones_before,
    total_trips,
    coalesce(total_revenue, 0) as total_revenue,
    first_pickup_at,
    last_pickup_at
from bounds cross join everything cross join measured
