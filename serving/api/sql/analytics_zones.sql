-- Grain: one zone, over the New York days $since to $until of one origin.
-- Inputs: view metrics; $origin; $since, $until and $borough, or null for all.
select
    location_id,
    max(zone_name) as zone_name,
    max(borough) as borough,
    count(*) filter (where total_pickups > 0) as days,
    sum(total_pickups)::bigint as total_pickups,
    sum(total_revenue) as total_revenue,
    sum(total_revenue)::double / nullif(sum(total_pickups), 0)::double as average_fare,
    avg(peak_hour_factor) as average_peak_hour_factor,
    avg(weather_impact_score) as average_weather_impact_score,
    coalesce(bool_or(weather_derived), false) as derived
from metrics
where origin = $origin
    and ($since::date is null or trip_date >= $since::date)
    and ($until::date is null or trip_date <= $until::date)
    and ($borough::varchar is null or borough = $borough::varchar)
group by location_id
