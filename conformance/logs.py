"""Tables without a key that joined append-only: rows alike are all there, and what changes a row stops the table."""

from __future__ import annotations

from conformance.situation import Situation

LOG = ("create table @table (id int, what text)", "alter table @table replica identity full")

LOGS = (
    Situation(
        "append-only, rows alike and truncated",
        LOG,
        before=("insert into @table values (1, 'one'), (1, 'one'), (null, null)",),
        steps=(
            "insert into @table values (1, 'one')",
            "begin", "insert into @table values (9, 'never')", "rollback",
            "truncate @table",
            "insert into @table select n / 2, 'n' from generate_series(2, 5) n",
            "insert into @table values (null, null), (null, null)",
        ),
        down=("insert into @table values (1, 'n')",),
        rows=((1, "n"), (1, "n"), (1, "n"), (2, "n"), (2, "n"), (None, None), (None, None)),
        ops="ctccccccc",
        order="id nulls last",
        append_only=True,
    ),
    *(
        Situation(
            f"append-only, a row {what}",
            LOG,
            before=("insert into @table values (1, 'one'), (1, 'one')",),
            steps=("insert into @table values (2, 'two')", change, "insert into @table values (3, 'three')"),
            rows=rows,
            stops=f"the first was {what}",
            append_only=True,
        )
        for what, change, rows in (
            ("updated", "update @table set what = 'II' where id = 2", ((1, "one"),) * 2 + ((2, "II"), (3, "three"))),
            ("deleted", "delete from @table where id = 1", ((2, "two"), (3, "three"))),
        )
    ),
)  # fmt: skip
