-- Grain: one rule of a dataset and interval, as it was last looked at.
-- Inputs: view results; $dataset, $severity and $passed, or null for all.
with
newest as (
    select *
    from results
    where ($dataset::varchar is null or dataset = $dataset::varchar)
        and ($severity::varchar is null or severity = $severity::varchar)
    qualify row_number() over (partition by dataset, "interval", rule order by checked_at desc, run_id desc) = 1
)
select dataset, "interval", rule, severity, passed, "rows", breaches, tolerance, sample, run_id, checked_at
from newest
where $passed::boolean is null or passed = $passed::boolean
