-- Trips of both origins. Grain: origin, trip. Every trip is kept; `counted` says which ones enter metrics. Left out are
-- trips without a fare above zero, trips that were refunded (a second row takes the fare back), and trips whose
-- duration (none, or more than 24 hours) or distance (negative, or more than 100 miles an hour) is impossible.
with every_trip as (
    select * from tlc_trips
    union all
    select * from cdc_trips
),

refunds as (
    select distinct origin, pickup_at, dropoff_at, location_id, -fare_amount as fare_amount
    from every_trip
    where fare_amount < 0
),

judged as (
    select
        every_trip.*,
        refunds.origin is not null as is_refunded,
        (unix_micros(dropoff_at) - unix_micros(pickup_at)) / 3.6e9 as hours
    from every_trip
    left join refunds using (origin, pickup_at, dropoff_at, location_id, fare_amount)
)

select
    origin,
    trip,
    pickup_local,
    pickup_at,
    dropoff_at,
    location_id,
    dropoff_location_id,
    passenger_count,
    trip_distance,
    fare_amount,
    tip_amount,
    tolls_amount,
    total_amount,
    payment_type,
    coalesce(fare_amount > 0, false)
    and not is_refunded
    and coalesce(hours > 0 and hours <= 24, true)
    and coalesce(trip_distance between 0 and 100 * hours, true) as counted
from judged
