"""From a statement in Postgres to a row that another engine reads in the mirror: every kind of change and of key."""

from uuid import uuid4


def test_tables_join_without_a_new_process(stack, joined):
    assert stack.status()["pid"] == joined.pid_before
    assert {stack.table(joined[name])["state"] for name in ("places", "depots", "tokens")} == {"running"}


def test_every_kind_of_change_of_a_composite_key(stack, joined):
    table = joined["places"]
    stack.execute(
        f"insert into {table} select 'Rome', 'Via ' || n, n, 'first' from generate_series(1, 50) n",
        f"update {table} set note = 'second' where number % 2 = 0",
        f"delete from {table} where number % 5 = 0",
        # a key change, and two rows that swap theirs
        f"update {table} set street = 'Via Nuova' where number = 1",
        f"""begin;
        update {table} set city = 'aside' where street = 'Via 2';
        update {table} set street = 'Via 2' where street = 'Via 3';
        update {table} set city = 'Rome', street = 'Via 3' where city = 'aside';
        commit""",
        # many changes of one key in one transaction, one of them undone
        f"""begin;
        insert into {table} values ('Bern', 'Hauptgasse', 1, 'a');
        update {table} set note = 'b' where city = 'Bern';
        delete from {table} where city = 'Bern';
        insert into {table} values ('Bern', 'Hauptgasse', 2, 'c');
        savepoint here;
        update {table} set note = 'never' where city = 'Bern';
        rollback to here;
        update {table} set number = 3 where city = 'Bern';
        commit""",
        f"begin; insert into {table} values ('Nowhere', 'at all', 0, null); rollback",
    )
    report = stack.verified(table)
    assert report.tables[0].rows_compared == 41
    assert stack.lake_rows(
        f"select city, street, number, note from taxi_cdc.{joined.mirror('places')}"
        " where city <> 'Rome' or number in (1, 2, 3) order by number, city"
    ) == [
        ("Rome", "Via Nuova", 1, "first"),
        ("Rome", "Via 3", 2, "second"),
        ("Bern", "Hauptgasse", 3, "c"),
        ("Rome", "Via 2", 3, "first"),
    ]


def test_a_truncate_between_changes(stack, joined):
    table = joined["books"]
    stack.execute(
        f"insert into {table} select 'isbn ' || n, 'old' from generate_series(1, 20) n",
        f"""begin;
        insert into {table} values ('isbn 21', 'too late');
        truncate {table};
        insert into {table} values ('isbn 1', 'new'), ('isbn ä', null), ('', 'empty key');
        commit""",
    )
    stack.verified(table)
    mirror = joined.mirror("books")
    assert stack.lake_rows(f"select isbn, title from taxi_cdc.{mirror} order by isbn") == [
        ("", "empty key"),
        ("isbn 1", "new"),
        ("isbn ä", None),
    ]
    assert [op for op, _, _ in stack.changelog(mirror)] == ["c"] * 21 + ["t"] + ["c"] * 3


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


def test_a_long_text_that_an_update_leaves_out_stays(stack, joined):
    """Two megabytes, out of line: Debezium sends a placeholder where the table has default identity."""
    for name in ("full_notes", "default_notes"):
        table = joined[name]
        stack.execute(
            f"alter table {table} alter column body set storage external",
            f"insert into {table} select n, 'title', repeat(md5(n::text), 62500) from generate_series(1, 3) n",
        )
        stack.verified(table)
        stack.execute(
            f"update {table} set title = 'other' where id = 1",
            f"update {table} set id = 20 where id = 2",
            f"begin; update {table} set title = 'x' where id = 3; update {table} set title = 'y' where id = 3; commit",
            f"begin; insert into {table} select 4, 't', repeat('ab', 1000000)"
            f"; update {table} set title = 'u' where id = 4; commit",
        )
        stack.verified(table)
        assert stack.lake_rows(f"select id, title, length(body) from taxi_cdc.{joined.mirror(name)} order by id") == [
            (1, "other", 2_000_000),
            (3, "y", 2_000_000),
            (4, "u", 2_000_000),
            (20, "title", 2_000_000),
        ]
