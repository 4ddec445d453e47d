-- nyc_taxi.trips: one row per row of a TLC file.
--
-- Input:   view tlc_rows, the file's rows under TLC's names (batch/taxi/tlc_file.py). The parameters are
--          :source_file, the file's name, and :month, the first day of the month that it is published for.
-- Output:  the table's columns, and reason: why a row is set aside, null for a row that is published.
-- Times:   TLC writes New York local time without a zone. An hour that the clock shows twice is flagged fold, one that it
--          skips gap.
-- Limits:  100 miles an hour, a day: longer or faster is a meter left on or a wrong entry. The row is kept, with a flag.
with tlc as (
    select
        *,
        cast(tpep_pickup_datetime as timestamp) as pickup_digits,
        cast(tpep_dropoff_datetime as timestamp) as dropoff_digits,
        unix_micros(cast(tpep_dropoff_datetime as timestamp)) / 1e6
            - unix_micros(cast(tpep_pickup_datetime as timestamp)) / 1e6 as seconds
    from tlc_rows
),

clock as (
    select
        *,
        to_utc_timestamp(pickup_digits, 'America/New_York') as pickup_utc,
        to_utc_timestamp(dropoff_digits, 'America/New_York') as dropoff_utc
    from tlc
),

judged as (
    select
        *,
        case
            when size(unreadable) > 0 then concat('unreadable: ', array_join(unreadable, ', '))
            when tpep_pickup_datetime is null then 'no pick-up time'
            when tpep_pickup_datetime < cast(:month - interval 1 day as timestamp_ntz)
                or tpep_pickup_datetime >= cast(add_months(:month, 1) + interval 1 day as timestamp_ntz)
                then 'pick-up more than a day outside of the month'
            when PULocationID is null or PULocationID not between 1 and 265 then 'pick-up zone is none of 1 to 265'
            when DOLocationID not between 1 and 265 then 'drop-off zone is none of 1 to 265'
        end as reason,
        array_compact(array(
            case when passenger_count is null then 'passengers_unknown' end,
            case when RatecodeID is null then 'rate_unknown' end,
            case when fare_amount < 0 or total_amount < 0 then 'negative_fare' end,
            case when tpep_dropoff_datetime is null then 'dropoff_unknown' end,
            case when seconds <= 0 then 'duration_not_positive' end,
            case when seconds > 24 * 3600 then 'duration_over_a_day' end,
            case when seconds > 0 and cast(trip_distance as double) * 3600 / seconds > 100 then 'impossible_speed' end,
            case when size(rounded) > 0 then 'rounded_to_cents' end,
            case when from_utc_timestamp(pickup_utc, 'America/New_York') <> pickup_digits then 'pickup_gap' end,
            case when from_utc_timestamp(pickup_utc + interval 1 hour, 'America/New_York') = pickup_digits then 'pickup_fold' end,
            case when from_utc_timestamp(dropoff_utc, 'America/New_York') <> dropoff_digits then 'dropoff_gap' end,
            case when from_utc_timestamp(dropoff_utc + interval 1 hour, 'America/New_York') = dropoff_digits then 'dropoff_fold' end
        )) as flags
    from clock
)

select
    VendorID as vendor_id,
    tpep_pickup_datetime as pickup_at,
    tpep_dropoff_datetime as dropoff_at,
    passenger_count,
    trip_distance,
    RatecodeID as rate_code_id,
    store_and_fwd_flag,
    PULocationID as pickup_location_id,
    DOLocationID as dropoff_location_id,
    payment_type,
    fare_amount,
    extra,
    mta_tax,
    tip_amount,
    tolls_amount,
    improvement_surcharge,
    total_amount,
    congestion_surcharge,
    airport_fee,
    cbd_congestion_fee,
    flags,
    :source_file as source_file,
    row as source_row,
    year(:month) as year,
    month(:month) as month,
    reason
from judged
