-- Grain: one trip of the mirror, by pick-up not later than $now_until.
-- Inputs: views trips, zones; $now_until; $location_id and $since, or null for all.
with
picked as (
    select *
    from trips
    where pickup_at <= $now_until::timestamptz
        and ($location_id::int is null or pickup_location_id = $location_id::int)
        and ($since::timestamptz is null or pickup_at >= $since::timestamptz)
)
select
    picked.trip_id,
    picked.pickup_at,
    picked.dropoff_at,
    picked.pickup_location_id,
    pickup.zone as pickup_zone,
    pickup.borough as pickup_borough,
    picked.dropoff_location_id,
    dropoff.zone as dropoff_zone,
    picked.passenger_count,
    picked.trip_distance,
    picked.payment_type,
    picked.fare_amount,
    picked.tip_amount,
    picked.tolls_amount,
    picked.total_amount,
    picked.updated_at
from picked
left join zones as pickup on pickup.location_id = picked.pickup_location_id
left join zones as dropoff on dropoff.location_id = picked.dropoff_location_id
