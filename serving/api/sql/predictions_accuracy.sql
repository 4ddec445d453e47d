-- Grain: one origin and full hour before $now_until, of the last $hours ones: what was foreseen before the hour began
-- against what came, over the zones of which both are known. A prediction that was moved to the present by whole weeks
-- of New York's clock speaks of the hour that it was moved from: what came then is what it is held against.
-- Inputs: views predictions and features, whose pickups are what came; $now_until; $hours.
with
foreseen as (
    select *
    from predictions
    where prediction_hour >= $now_until::timestamptz - $hours::bigint * interval 1 hour
        and prediction_hour < $now_until::timestamptz
        and made_at <= prediction_hour
    qualify row_number() over (
        partition by origin, location_id, prediction_hour order by made_at desc, model_version desc
    ) = 1
),
moved_back as (
    select
        *,
        case
            when shift_weeks = 0 then prediction_hour
            else
                (prediction_hour::timestamptz at time zone 'America/New_York' - shift_weeks * interval 7 day)::timestamp
                    at time zone 'America/New_York'
        end as true_hour
    from foreseen
)
select
    moved_back.origin,
    moved_back.prediction_hour,
    count(*) as zones,
    sum(moved_back.predicted_demand) as predicted_demand,
    sum(features.pickups)::bigint as pickups,
    avg(abs(moved_back.predicted_demand - features.pickups)) as mean_absolute_error,
    avg((features.pickups between moved_back.lower and moved_back.upper)::int) as share_within_interval,
    coalesce(bool_or(moved_back.weather_derived), false) as derived
from moved_back
inner join features
    on features.origin = moved_back.origin
    and features.location_id = moved_back.location_id
    and features.hour = moved_back.true_hour
where features.pickups is not null
group by 1, 2
