-- Trips of TLC's files under the columns that both origins share. Grain: one TLC row.
select
    'tlc' as origin,
    concat(source_file, '#', source_row) as trip,
    pickup_at as pickup_local,
    to_utc_timestamp(cast(pickup_at as timestamp), 'America/New_York') as pickup_at,
    to_utc_timestamp(cast(dropoff_at as timestamp), 'America/New_York') as dropoff_at,
    pickup_location_id as location_id,
    dropoff_location_id,
    passenger_count,
    trip_distance,
    fare_amount,
    tip_amount,
    tolls_amount,
    total_amount,
    payment_type
from nyc_taxi.trips
