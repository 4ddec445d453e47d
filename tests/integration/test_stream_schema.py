"""A changed source schema stops its own table alone, and a resync mends it; what flows is in tests/conformance."""

import json
import threading
from collections.abc import Callable


def test_a_retyped_column_stops_its_table_alone_until_a_resync(stack, joined):
    table, other = joined["retyped"], joined["settled"]
    stack.execute(f"alter table {table} alter column amount type text", f"insert into {table} values (1, 5)")
    stack.until(lambda: stack.table(table)["state"] == "stopped", "the table stops")
    reason = stack.table(table)
    assert "amount" in reason["reason"] and reason["remedy"] == f"lake resync {table}"
    shown = stack.lake("status")
    assert shown.returncode == 1 and f"lake resync {table}" in shown.stdout

    stack.execute(f"insert into {other} values (1000, 1)", f"delete from {other} where id = 1000")
    stack.verified(other)

    done = stack.lake("resync", table)
    assert done.returncode == 0, done.stdout + done.stderr
    stack.verified(table, other)
    assert json.loads(stack.lake("status", "--json").stdout)["stream"]["tables"][table]["state"] == "running"


def test_a_resync_under_changes_keeps_the_old_rows_readable(stack, joined):
    table, mirror = joined["settled"], joined.mirror("settled")
    stack.execute(f"insert into {table} select n, n from generate_series(1, 500) n")
    stack.verified(table)
    before = stack.iceberg(mirror).current_snapshot().snapshot_id
    writer = changes(stack, table)
    done = stack.lake("resync", table)
    assert done.returncode == 0, done.stdout + done.stderr
    writer()
    stack.verified(table)
    assert stack.lake_rows(f"select count(*), count(distinct id) from taxi_cdc.{mirror}") == [(600, 600)]
    assert stack.iceberg(mirror).scan(snapshot_id=before).to_arrow().num_rows == 500
    generations = stack.lake_rows(f"select distinct generation from taxi_cdc.{mirror}_cdc order by 1")
    assert len(generations) == 2


def changes(stack, table: str) -> Callable[[], None]:
    """Writes in the background: updates, and a hundred rows more; the result ends it when all are there."""

    def write() -> None:
        for n in range(501, 601):
            stack.execute(
                f"insert into {table} values ({n}, 0)", f"update {table} set amount = amount + 1 where id = {n - 500}"
            )

    thread = threading.Thread(target=write)
    thread.start()
    return thread.join
