-- Grain: one origin and full hour before $now_until, of the last $hours ones: what was foreseen before the hour began
-- against what came, over the zones of which both are known.
-- Inputs: views predictions and features, whose pickups are what came; $now_until; $hours.
with
foreseen as (
    select *
    from predictions
    where prediction_hour >= $now_until::timestamptz - to_hours($hours::bigint)
        and prediction_hour < $now_until::timestamptz
        and made_at <= prediction_hour
    qualify row_number() over (
        partition by origin, location_id, prediction_hour order by made_at desc, model_version desc
    ) = 1
)
select
    foreseen.origin,
    foreseen.prediction_hour,
    count(*) as zones,
    sum(foreseen.predicted_demand) as predicted_demand,
    sum(features.pickups)::bigint as pickups,
    avg(abs(foreseen.predicted_demand - features.pickups)) as mean_absolute_error,
    avg((features.pickups between foreseen.lower and foreseen.upper)::int) as share_within_interval,
    coalesce(bool_or(foreseen.weather_derived), false) as derived
from foreseen
inner join features
    on features.origin = foreseen.origin
    and features.location_id = foreseen.location_id
    and features.hour = foreseen.prediction_hour
where features.pickups is not null
group by 1, 2
