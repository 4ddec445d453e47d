-- Grain: one change event of a changelog that came through Kafka, committed in the source since $since.
-- Inputs: view changelog; $since.
select topic_offset, committed_at
from changelog
where op <> 'r'
    and committed_at >= $since::timestamptz
