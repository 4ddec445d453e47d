-- Grain: one zone, its newest window that ended after $now_since.
-- Inputs: views activity, zones; $now_since.
with
newest as (
    select *
    from activity
    where activity_timestamp >= $now_since::timestamptz
    qualify row_number() over (partition by zone_id order by activity_timestamp desc) = 1
)
select
    newest.zone_id,
    zones.zone as zone_name,
    zones.borough,
    newest.activity_timestamp,
    newest.activity_score,
    newest.revenue_last_hour,
    newest.pickup_count
from newest
left join zones on zones.location_id = newest.zone_id
