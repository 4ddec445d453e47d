-- Grain: one row per origin that has a counted trip: the hours of its first and last one, in UTC.
select
    origin,
    cast(min(date_trunc('hour', pickup_at)) as timestamp_ntz) as first_hour,
    cast(max(date_trunc('hour', pickup_at)) as timestamp_ntz) as last_hour
from trips
where counted
group by origin
