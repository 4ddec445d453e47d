-- Counted trips by the zone and hour of their pick-up. Grain: origin, location_id, hour; hours without trips have no
-- row.
select
    origin,
    location_id,
    date_trunc('hour', pickup_at) as hour,
    count(*) as pickups,
    sum(fare_amount) as fares,
    sum(trip_distance) as miles,
    count(trip_distance) as measured_trips
from trips
where counted
group by origin, location_id, date_trunc('hour', pickup_at)
