-- Grain: one dataset, the run that last ended.
-- Input: view runs.
select dataset, run_id, "interval", status, rows_in, accepted, quarantined, message, finished_at
from runs
qualify row_number() over (partition by dataset order by finished_at desc, run_id desc, "interval" desc) = 1
