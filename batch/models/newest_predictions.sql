-- Grain: one row per zone and hour: the prediction that was made last; of two made in the same hour, the one made now.
-- Inputs: made_before and made_now, both with the columns of ml.demand_prediction_features, in their order.
with every_prediction as (
    select *, false as is_now from made_before
    union all
    select *, true as is_now from made_now
),

ranked as (
    select
        *,
        row_number() over (partition by location_id, prediction_hour order by made_at desc, is_now desc) as age
    from every_prediction
)

select * except (is_now, age)
from ranked
where age = 1
