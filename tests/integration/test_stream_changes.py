"""From a statement in Postgres to a row in the mirror, over many epochs; single situations are tests/conformance."""

from uuid import uuid4


def test_tables_join_without_a_new_process(stack, joined):
    assert stack.status()["pid"] == joined.pid_before
    assert {stack.table(joined[name])["state"] for name in ("depots", "tokens")} == {"running"}


def test_uuid_keys_over_many_epochs(stack, joined):
    table, mirror = joined["tokens"], joined.mirror("tokens")
    kept = [str(uuid4()) for _ in range(30)]
    for round_ in range(3):
        stack.execute(
            f"insert into {table} values " + ", ".join(f"('{key}', 'label {round_}')" for key in kept)
            if round_ == 0
            else f"update {table} set label = 'label {round_}' where id <> '{kept[round_]}'",
            f"delete from {table} where id = '{kept[10 + round_]}'",
        )
        stack.verified(table)
    stack.execute(f"update {table} set id = '{uuid4()}' where id = '{kept[0]}'")
    stack.verified(table)
    assert stack.lake_rows(f"select count(*), count(distinct id) from taxi_cdc.{mirror}") == [(27, 27)]
    assert {key for (key,) in stack.lake_rows(f"select id from taxi_cdc.{mirror}")}.isdisjoint(kept[:1] + kept[10:13])


def test_a_table_of_another_schema(stack, joined):
    table = joined["depots"]
    stack.execute(f"insert into {table} values (1, 'Harlem'), (2, 'Bronx')", f"delete from {table} where id = 2")
    stack.verified(table)
    assert stack.lake_rows(f"select * from taxi_cdc.{joined.mirror('depots')}") == [(1, "Harlem")]
