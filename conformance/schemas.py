"""Tables that change their shape: what can flow flows, what cannot stops its own table until `lake resync` mends it."""

from __future__ import annotations

from dataclasses import replace

from conformance.situation import Situation

ID = ("create table @table (id int primary key, label text, n int)", "alter table @table replica identity full")
FIRST = "insert into @table values (1, 'one', 1)"


def also_down(situation: Situation) -> Situation:
    """The same with the streaming job stopped: what it does after the first statement happens behind its back."""
    first, *rest = situation.steps
    return replace(situation, name=f"{situation.name}, stream down", steps=(first,), down=tuple(rest))


FLOWING = (
    Situation(
        "a column added",
        ID,
        steps=(FIRST, "alter table @table add column extra text", "insert into @table values (2, 'two', 2, 'x')",
               "update @table set extra = 'y' where id = 1"),
        rows=((1, "one", 1, "y"), (2, "two", 2, "x")),
        ops="ccu",
    ),
    Situation(
        "a column dropped",
        ID,
        steps=(FIRST, "alter table @table drop column label", "insert into @table values (2, 2)"),
        rows=((1, 1), (2, 2)),
        select="id, n",
        ops="cc",
    ),
    Situation(
        "columns widened",
        ("create table @table (id int primary key, n int, price numeric(6, 2), small smallint, f real, v varchar(3))",
         "alter table @table replica identity full"),
        steps=(
            "insert into @table values (1, 1, 1.5, 1, 0.5, 'abc')",
            """alter table @table alter column n type bigint, alter column price type numeric(12, 2),
            alter column small type int, alter column f type double precision, alter column v type text""",
            "insert into @table values (2, 3000000000, 1234567890.12, 70000, 1e300, 'longer')",
        ),
        rows=((1, 1, "1.50", 1, 0.5, "abc"), (2, 3_000_000_000, "1234567890.12", 70_000, 1e300, "longer")),
        select="id, n, price::varchar, small, f, v",
        ops="cc",
    ),
)  # fmt: skip

NO_COLUMN = (
    Situation(
        "an enum that gets a value, a generated column",
        (
            "create type @schema.size as enum ('small')",
            "create table @table (id int primary key, size @schema.size, twice int generated always as (id) stored)",
            "alter table @table replica identity full",
        ),
        steps=(
            "insert into @table values (1, 'small')",
            "alter type @schema.size add value 'large'",
            "insert into @table values (2, 'large')",
        ),
        rows=((1, "small"), (2, "large")),
        ops="cc",
    ),
    Situation(
        "another replica identity",
        ("create table @table (id int primary key, label text, n int)", "alter table @table replica identity full"),
        steps=(
            "insert into @table values (1, 'one', 1)",
            "alter table @table replica identity default",
            "update @table set n = 2",
            "alter table @table replica identity full",
            "update @table set n = 3",
        ),
        rows=((1, "one", 3),),
        ops="cuu",
    ),
)

STOPPING = (
    Situation(
        "a column renamed",
        ID,
        steps=(FIRST, "alter table @table rename column label to title", "insert into @table values (2, 'two', 2)"),
        rows=((1, "one", 1), (2, "two", 2)),
        select="id, title, n",
        stops="column label was renamed to title",
    ),
    Situation(
        "a column retyped",
        ID,
        steps=(FIRST, "alter table @table alter column n type text", "insert into @table values (2, 'two', 'many')"),
        rows=((1, "1"), (2, "many")),
        select="id, n",
        stops="column n changed from integer to text",
    ),
    Situation(
        "a column narrowed",
        ID,
        steps=(FIRST, "alter table @table alter column label type varchar(2) using left(label, 2)"),
        rows=((1, "on"),),
        select="id, label",
        stops="column label changed from text to character varying(2)",
    ),
    Situation(
        "a column dropped and added again",
        ID,
        steps=(FIRST, "alter table @table drop column n, add column n int", "insert into @table values (2, 'two', 2)"),
        rows=((1, None), (2, 2)),
        select="id, n",
        stops="column n was dropped and created again",
    ),
    Situation(
        "a column added with a default",
        ID,
        steps=(FIRST, "alter table @table add column m int default 7"),
        rows=((1, 7),),
        select="id, m",
        stops="column m was added with a default",
    ),
    Situation(
        "another primary key",
        ID,
        steps=("insert into @table values (1, 'one', 1), (2, 'two', 2)",
               "alter table @table drop constraint another_primary_key_pkey, add primary key (n)",
               "update @table set id = 1 where n = 2"),
        rows=((1, "one", 1), (1, "two", 2)),
        select="id, label, n",
        order="n",
        stops="its primary key changed",
    ),
    Situation(
        "a table dropped and made again",
        ID,
        steps=(FIRST, "drop table @table", *ID, "grant select on @table to cdc",
               "alter publication lakehouse add table @table", "insert into @table values (2, 'two', 2)"),
        rows=((2, "two", 2),),
        stops="was dropped and created again",
    ),
)  # fmt: skip

REFUSED = (
    Situation("no primary key", ("create table @table (id int)",), refused="has no primary key"),
    Situation(
        "a deferrable primary key",
        ("create table @table (id int primary key deferrable)", "alter table @table replica identity full"),
        refused="has a deferrable primary key",
    ),
    Situation(
        "the identity of another index",
        (
            "create table @table (id int primary key, n int not null unique)",
            "alter table @table replica identity using index the_identity_of_another_index_n_key",
        ),
        refused="replica identity without its primary key",
    ),
    *(
        Situation(
            f"type {kind}",
            (f"create table @table (id int primary key, v {kind})",),
            refused="has no lossless Iceberg type",
        )
        for kind in ("timetz", "point", "varbit", "tsquery", "name", "interval[]")
    ),
    Situation(
        "two columns alike but for case",
        ('create table @table (id int primary key, a int, "A" int)',),
        refused="differ by case alone",
    ),
    Situation(
        "a name that Kafka cannot have",
        ("create table @table (id int primary key)",),
        table="Größe in m",
        refused="has a name",
    ),
)

SCHEMAS = (*FLOWING, *NO_COLUMN, *(also_down(s) for s in FLOWING), *STOPPING, also_down(STOPPING[0]), *REFUSED)
