-- Grain: one row. The trips of the last $hours full hours, those of as many hours before, and all of them.
-- Inputs: view trips; $now_until, the end of the window; $hours.
with
bounds as (
    select
        $now_until::timestamptz as window_end,
        $now_until::timestamptz - to_hours($hours::bigint) as window_start,
        $now_until::timestamptz - 2 * to_hours($hours::bigint) as before_start
),
measured as (
    select
        any_value(window_start) as window_start,
        any_value(window_end) as window_end,
        count(*) filter (where pickup_at >= window_start and pickup_at < window_end) as trips,
        count(*) filter (where pickup_at >= before_start and pickup_at < window_start) as trips_before,
        sum(total_amount) filter (where pickup_at >= window_start and pickup_at < window_end) as revenue,
        sum(total_amount) filter (where pickup_at >= before_start and pickup_at < window_start) as revenue_before,
        avg(fare_amount) filter (where pickup_at >= window_start and pickup_at < window_end) as average_fare,
        avg(fare_amount) filter (where pickup_at >= before_start and pickup_at < window_start) as average_fare_before,
        avg(trip_distance) filter (where pickup_at >= window_start and pickup_at < window_end) as average_distance,
        avg(trip_distance)
            filter (where pickup_at >= before_start and pickup_at < window_start) as average_distance_before,
        count(distinct pickup_location_id)
            filter (where pickup_at >= window_start and pickup_at < window_end) as active_zones,
        count(distinct pickup_location_id)
            filter (where pickup_at >= before_start and pickup_at < window_start) as active_zones_before,
        count(trip_id) as total_trips,
        sum(total_amount) as total_revenue,
        min(pickup_at) as first_pickup_at,
        max(pickup_at) as last_pickup_at
    from bounds left join trips on true
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
from measured
