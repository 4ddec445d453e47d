"""Changed source schemas: what can flow flows, what cannot stops its own table until a resync mends it."""

import json
import threading
from collections.abc import Callable

import pytest


def test_added_and_widened_columns_flow_on(stack, joined):
    table, mirror = joined["growing"], joined.mirror("growing")
    stack.execute(f"insert into {table} select n, n, n from generate_series(1, 10) n")
    stack.verified(table)
    stack.execute(
        f"alter table {table} add column label text",
        f"insert into {table} values (11, 11, 11, 'labelled')",
        f"alter table {table} alter column amount type bigint, alter column price type numeric(12, 2)",
        f"update {table} set amount = 3000000000, price = 1234567890.12 where id = 1",
        f"alter table {table} drop column label",
        f"insert into {table} values (12, 12, 12)",
    )
    stack.verified(table)
    assert stack.lake_rows(
        f"select id, amount, price::text from taxi_cdc.{mirror} where id in (1, 2, 11, 12) order by id"
    ) == [(1, 3_000_000_000, "1234567890.12"), (2, 2, "2.00"), (11, 11, "11.00"), (12, 12, "12.00")]
    assert stack.table(table)["state"] == "running"


def test_a_renamed_column_stops_its_table_until_a_resync(stack, joined):
    table = joined["renamed"]
    stack.execute(
        f"insert into {table} values (1, 'before')",
        f"alter table {table} rename column label to title",
        f"insert into {table} values (2, 'after')",
    )
    # Old rows have their value under the old name, and no event says so.
    stack.until(lambda: stack.table(table).get("state") == "stopped", "the table stops")
    assert stack.lake("resync", table).returncode == 0
    stack.verified(table)
    rows = stack.lake_rows(f"select id, title from taxi_cdc.{joined.mirror('renamed')} order by id")
    assert rows == [(1, "before"), (2, "after")]


@pytest.mark.parametrize("retype", ["alter column amount type text", "drop column amount, add column amount bigint"])
def test_a_retyped_column_stops_its_table_until_a_resync(stack, joined, retype: str):
    table, other = joined["retyped"], joined["growing"]
    stack.execute(f"truncate {table}", f"alter table {table} {retype}", f"insert into {table} values (1, 5)")
    stack.execute(f"insert into {table} values (2, 6)")
    stack.until(lambda: stack.table(table)["state"] == "stopped", "the table stops")
    reason = stack.table(table)
    assert "amount" in reason["reason"] and reason["remedy"] == f"lake resync {table}"
    shown = stack.lake("status")
    assert shown.returncode == 1 and f"lake resync {table}" in shown.stdout

    stack.execute(f"insert into {other} (id, amount, price) select coalesce(max(id), 0) + 1, 1, 1 from {other}")
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
