"""Large ones: rows of twelve megabytes, transactions of hundreds of thousands of changes."""

from __future__ import annotations

from conformance.changes import ID
from conformance.situation import Situation

LARGE = (
    Situation(
        "rows of 12 MB",
        ID,
        before=("insert into @table values (0, repeat('é', 6000000))",),
        steps=(
            "insert into @table select n, repeat('é', 6000000) from generate_series(1, 3) n",
            "update @table set label = repeat('x', 12000000) where id = 1",
            "delete from @table where id = 2",
        ),
        rows=((0, 6_000_000), (1, 12_000_000), (3, 6_000_000)),
        select="id, length(label)::int",
        ops="cccud",
        slow=True,
    ),
    Situation(
        "a transaction of 200,000 rows",
        ID,
        steps=(
            "begin; insert into @table select n, n::text from generate_series(1, 200000) n; rollback",
            "begin; insert into @table select n, n::text from generate_series(1, 200000) n; commit",
            "begin; update @table set label = 'even' where id % 2 = 0; delete from @table where id % 10 = 0; commit",
        ),
        rows=((180_000, 80_000, 18_000_000_000),),
        select="count(*)::int, (count(*) filter (label = 'even'))::int, sum(id)::bigint",
        order="1",
        slow=True,
    ),
)
