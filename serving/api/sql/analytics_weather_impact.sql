-- Grain: one weather condition, over the hours of one origin that begin on the UTC days $since to $until.
-- Inputs: view correlation; $origin; $since and $until, or null for all.
select
    weather_condition,
    count(*) as hours,
    sum(total_trips)::bigint as total_trips,
    avg(total_trips) as average_trips_per_hour,
    sum(avg_fare_amount * total_trips) / nullif(sum(total_trips), 0) as average_fare,
    sum(avg_trip_distance * total_trips) / nullif(sum(total_trips), 0) as average_distance_miles,
    avg(temperature_celsius) as average_temperature_celsius,
    avg(precipitation_mm) as average_precipitation_mm,
    -- of one hour, or of hours that are all alike, engines say NaN or null
    case when not isnan(corr(temperature_celsius, total_trips)) then corr(temperature_celsius, total_trips) end
        as temperature_correlation,
    coalesce(bool_or(weather_derived), false) as derived
from correlation
where origin = $origin
    and ($since::date is null or hour >= $since::date)
    and ($until::date is null or hour < $until::date + interval 1 day)
group by weather_condition
