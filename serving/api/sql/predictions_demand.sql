-- Grain: one zone and hour from $now_from on, for $hours_ahead hours; of several predictions the newest.
-- Inputs: views predictions, zones; $now_from; $hours_ahead; $location_id, or null for all.
with
wanted as (
    select *
    from predictions
    where prediction_hour >= $now_from::timestamptz
        and prediction_hour < $now_from::timestamptz + $hours_ahead::bigint * interval 1 hour
        and ($location_id::int is null or location_id = $location_id::int)
),
newest as (
    select *
    from wanted
    qualify row_number() over (partition by location_id, prediction_hour order by made_at desc, model_version desc) = 1
)
select
    newest.origin,
    newest.location_id,
    zones.zone as zone_name,
    zones.borough,
    newest.prediction_hour,
    newest.predicted_demand,
    newest.lower,
    newest.upper,
    newest.weather_impact_factor,
    newest.confidence_score,
    coalesce(newest.weather_derived, false) as derived,
    newest.model_version,
    newest.made_at
from newest
left join zones on zones.location_id = newest.location_id
