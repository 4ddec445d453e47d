"""Rows changed in every way that Postgres knows: keys, transactions, truncates, long values, partitions, names."""

from __future__ import annotations

from conformance.situation import HAS_READ, Situation

ID = ("create table @table (id int primary key, label text)", "alter table @table replica identity full")
DEFAULT = ("create table @table (id int primary key, title text, body text)",
           "alter table @table alter column body set storage external")  # fmt: skip
WITH_TRUE_OLD_ROWS = (*DEFAULT, "alter table @table replica identity full")
LONG = "repeat(md5('long'), 62500)"
"""Two megabytes that Postgres keeps out of line, so that an update which does not touch them leaves them out."""
LEFT_OUT = (
    f"insert into @table select n, 'title', {LONG} from generate_series(1, 3) n",
    "update @table set title = 'other' where id = 1",
    "update @table set id = 20 where id = 2",
    "begin; update @table set title = 'x' where id = 3; update @table set title = 'y' where id = 3; commit",
    f"begin; insert into @table select 4, 't', {LONG}; update @table set title = 'u' where id = 4; commit",
    "delete from @table where id = 1",
)
KEPT = ((3, "y", 2_000_000), (4, "u", 2_000_000), (20, "title", 2_000_000))

CHANGES = (
    Situation(
        "an update, a delete, an empty key",
        ("create table @table (isbn text primary key, title text)", "alter table @table replica identity full"),
        steps=(
            "insert into @table values ('1', 'a'), ('', 'empty key'), ('ä 😀', null), ('2', 'b')",
            "update @table set title = 'A' where isbn = '1'",
            "delete from @table where isbn = '2'",
        ),
        rows=(("", "empty key"), ("1", "A"), ("ä 😀", None)),
        ops="ccccud",
        order="isbn",
    ),
    Situation(
        "a key that changes, and two that swap",
        (
            "create table @table (city text, street text, n int, primary key (city, street))",
            "alter table @table replica identity full",
        ),
        steps=(
            "insert into @table values ('Rome', 'a', 1), ('Rome', 'b', 2), ('Bern', 'c', 3)",
            "update @table set street = 'd' where n = 3",
            """begin; update @table set city = 'aside' where n = 1; update @table set street = 'a' where n = 2;
            update @table set city = 'Rome', street = 'b' where n = 1; commit""",
        ),
        rows=(("Bern", "d", 3), ("Rome", "a", 2), ("Rome", "b", 1)),
        order="city, street",
    ),
    Situation(
        "one key many times in one transaction",
        ID,
        steps=(
            """begin; insert into @table values (1, 'a'); update @table set label = 'b'; delete from @table;
            insert into @table values (1, 'c'); commit""",
            """begin; insert into @table values (2, 'a'); delete from @table where id = 2; commit""",
            """begin; insert into @table values (3, 'a'); update @table set id = 4 where id = 3;
            update @table set id = 3, label = 'back' where id = 4; commit""",
        ),
        rows=((1, "c"), (3, "back")),
        ops="cudc" "cd" "cdcdc",
    ),
    Situation(
        "keys of uuid, bytes, time and number",
        ("create table @table (u uuid, b bytea, made timestamptz, n numeric(20, 4), v int,"
         " primary key (u, b, made, n))",
         "alter table @table replica identity full"),
        steps=(
            """insert into @table select '00000000-0000-0000-0000-000000000001', '\\x00ff', '2026-01-01 00:00+00', n, 0
            from generate_series(1, 3) n""",
            "update @table set v = 1 where n = 2",
            "update @table set made = made + interval '1 microsecond' where n = 3",
            "delete from @table where n = 1",
        ),
        rows=(("2.0000", 1, 0), ("3.0000", 0, 1)),
        select="n::varchar, v, microsecond(made)::int",
        order="n",
        ops="cccudcd",
    ),
    Situation(
        "a truncate between inserts",
        ID,
        steps=(
            "insert into @table select n, 'old' from generate_series(1, 5) n",
            """begin; insert into @table values (6, 'too late'); truncate @table;
            insert into @table values (1, 'new'); commit""",
            "begin; truncate @table; rollback",
            "insert into @table values (2, 'later')",
        ),
        rows=((1, "new"), (2, "later")),
        ops="cccccc" "tcc",
    ),
    Situation(
        "a rollback and savepoints",
        ID,
        steps=(
            "begin; insert into @table values (1, 'never'); rollback",
            """begin; insert into @table values (2, 'kept'); savepoint a; update @table set label = 'never';
            savepoint b; delete from @table; rollback to b; rollback to a;
            insert into @table values (3, 'x'); savepoint c; update @table set label = 'y' where id = 3; release c;
            commit""",
        ),
        rows=((2, "kept"), (3, "y")),
        ops="ccu",
    ),
    Situation(
        "interleaved transactions",
        ID,
        steps=(
            "insert into @table values (1, 'start')",
            "begin",
            "insert into @table values (2, 'opened first')",
            "2:begin",
            "2:insert into @table values (3, 'opened second')",
            "2:update @table set label = 'second' where id = 1",
            "2:commit",
            "update @table set label = 'first' where id = 1",
            "commit",
        ),
        rows=((1, "first"), (2, "opened first"), (3, "opened second")),
        ops="c" "cu" "cu",
    ),
    Situation(
        "rows by COPY",
        ID,
        steps=("copy @table from stdin csv\n" + "\n".join(f"{n},by copy" for n in range(1, 501)),),
        rows=((500, 500, 1),),
        select="count(*)::int, max(id), count(distinct label)::int",
        order="1",
        ops="c" * 500,
    ),
    Situation(
        "long values left out, whole old rows",
        WITH_TRUE_OLD_ROWS,
        steps=LEFT_OUT,
        rows=KEPT,
        select="id, title, length(body)::int",
        ops="ccc" "u" "dc" "uu" "cu" "d",
    ),
    Situation(
        "long values left out, old keys alone",
        DEFAULT,
        steps=LEFT_OUT,
        rows=KEPT,
        select="id, title, length(body)::int",
        ops="ccc" "u" "dc" "uu" "cu" "d",
    ),
    Situation(
        "partitions, and a row that moves",
        (
            "create table @table (id int, region text, n int, primary key (id, region)) partition by list (region)",
            "create table @schema.east partition of @table for values in ('east')",
            "create table @schema.west partition of @table for values in ('west')",
            "alter table @table replica identity full",
            "alter table @schema.east replica identity full",
            "alter table @schema.west replica identity full",
        ),
        before=("insert into @table values (1, 'east', 0), (2, 'west', 0)",),
        steps=(
            "insert into @table values (3, 'east', 0), (4, 'west', 0)",
            "update @table set region = 'west' where id in (1, 3)",
            "update @schema.west set n = 5 where id = 2",
            "delete from @table where id = 4",
        ),
        rows=((1, "west", 0), (2, "west", 5), (3, "west", 0)),
        ops="cc" "dcdc" "u" "d",
    ),
    Situation(
        "a copy amid changes of the same rows",
        ID,
        before=("insert into @table select n, 'old' from generate_series(1, 1000) n",),
        during=(
            "update @table set label = 'before' where id = 1",
            "delete from @table where id = 2",
            "update @table set id = 1003 where id = 3",
            "begin",
            "update @table set label = 'open across' where id = 4",
            "delete from @table where id = 5",
            "update @table set id = 1006 where id = 6",
            "2:update @table set label = 'second' where id = 7",
            HAS_READ,
            "2:update @table set label = 'after' where id = 1",
            "2:insert into @table values (2, 'again')",
            "2:delete from @table where id = 1003",
            "2:update @table set id = 1008 where id = 8",
            "commit",
        ),
        rows=((998, 502_492, "1 after, 2 again, 4 open across, 7 second"),),
        select="""count(*)::int, sum(id)::bigint,
        string_agg(id || ' ' || label, ', ' order by id) filter (label <> 'old')""",
        order="1",
        ops="uddc" "u" "ucddc" "uddc",
    ),
    Situation("an empty table", ID, rows=(), ops=""),
    Situation(
        "mixed case and quoted names",
        ('create table @table ("Id" int primary key, "Order" text, "with space" text, "select" text, "é" text)',
         "alter table @table replica identity full"),
        before=("""insert into @table values (1, 'copied', 'a', 'b', 'c')""",),
        steps=(
            """insert into @table values (2, 'inserted', 'a', 'b', 'c')""",
            """update @table set "Order" = 'updated', "with space" = 'x' where "Id" = 2""",
        ),
        rows=((1, "copied", "a", "b", "c"), (2, "updated", "x", "b", "c")),
        select='"Id", "Order", "with space", "select", "é"',
        order='"Id"',
        ops="cu",
        table="MixedCase",
    ),
    Situation(
        "values that Iceberg cannot hold",
        ("create table @table (id int primary key, d date, at timestamptz, n numeric(5, 2))",
         "alter table @table replica identity full"),
        steps=(
            "insert into @table values (1, '2026-01-01', '2026-01-01', 1)",
            "insert into @table (id, d) values (2, 'infinity')",
            "insert into @table (id, d) values (3, '0044-03-15 BC')",
            "insert into @table (id, at) values (4, '-infinity')",
            "insert into @table (id, at) values (5, '10000-01-01')",
            "insert into @table (id, n) values (6, 'NaN')",
            "insert into @table (id) values (8)",
        ),
        rows=((1,), (8,)),
        select="id",
        set_aside=("column d", "column d", "column at", "column at", "column n"),
    ),
)  # fmt: skip
