-- Trips of the mirror under the columns that both origins share. Grain: one row of the source; a replayed trip is named
-- by its place in TLC's file, a new one by its key.
select
    'cdc' as origin,
    coalesce(concat(source_file, '#', source_row), cast(trip_id as string)) as trip,
    cast(from_utc_timestamp(pickup_at, 'America/New_York') as timestamp_ntz) as pickup_local,
    pickup_at,
    dropoff_at,
    pickup_location_id as location_id,
    dropoff_location_id,
    passenger_count,
    trip_distance,
    fare_amount,
    tip_amount,
    tolls_amount,
    total_amount,
    payment_type
from taxi_cdc.trips
