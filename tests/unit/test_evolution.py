"""A changed source schema is followed where every row keeps its value, and stops the table where none can tell."""

from dataclasses import replace

import pytest
from streaming_model.envelopes import table

from catalog.errors import TableStoppedError
from catalog.source import SourceColumn, SourceTable
from catalog.tables.cdc import changelog_schema, mirror_schema
from streaming.evolution import require_followable, require_rebuildable, statements

OLD = table(("id", "integer"), ("n", "integer"), ("amount", "numeric(8,2)"), ("share", "real"))


def with_column(number, **changes):
    columns = list(OLD.columns)
    columns[number] = replace(columns[number], **changes)
    return replace(OLD, columns=tuple(columns))


def added(name="new", attnum=9, postgres="text"):
    return replace(OLD, columns=(*OLD.columns, SourceColumn(name, attnum, postgres, False, False)))


def in_the_lake(source):
    return mirror_schema(source), changelog_schema(source)


def ddl(old, new):
    require_followable(old, new)
    return statements(*in_the_lake(old), new, "m", "c")


def test_nothing_to_do():
    assert ddl(OLD, OLD) == []
    assert ddl(OLD, with_column(1, not_null=True)) == []


def test_an_added_column_is_added_to_both_tables():
    assert ddl(OLD, added(postgres="numeric(4,1)[]")) == [
        "ALTER TABLE m ADD COLUMNS (`new` array<decimal(4,1)>)",
        "ALTER TABLE c ADD COLUMNS (before.`new` array<decimal(4,1)>)",
        "ALTER TABLE c ADD COLUMNS (after.`new` array<decimal(4,1)>)",
    ]


def test_after_a_crash_between_two_statements_only_those_left_are_given():
    mirror, changelog = mirror_schema(added()), changelog_schema(OLD)
    assert statements(mirror, changelog, added(), "m", "c") == [
        "ALTER TABLE c ADD COLUMNS (before.`new` string)",
        "ALTER TABLE c ADD COLUMNS (after.`new` string)",
    ]


def with_default(default, **changes):
    columns = (*OLD.columns, SourceColumn("new", 9, "text", False, False, default))
    return replace(OLD, columns=columns, **changes)


def test_an_added_column_whose_default_old_rows_have_too_stops_the_table():
    old = replace(OLD, oid=1, file=5)
    with pytest.raises(TableStoppedError, match="new was added with a default"):
        require_followable(old, with_default("old rows", oid=1, file=5))
    with pytest.raises(TableStoppedError, match="new was added with a default"):
        require_followable(old, with_default("new rows", oid=1, file=6))
    require_followable(old, with_default("new rows", oid=1, file=5))


def test_a_table_made_again_stops():
    with pytest.raises(TableStoppedError, match="dropped and created again"):
        require_followable(replace(OLD, oid=1), replace(OLD, oid=2))
    require_followable(OLD, replace(OLD, oid=2, file=3))


def test_a_dropped_column_stays_as_it_is_and_is_remembered():
    fewer = replace(OLD, columns=OLD.columns[:2]).following(OLD)
    assert ddl(OLD, fewer) == []
    assert fewer.past == OLD.columns[2:]
    assert SourceTable.from_json(fewer.to_json()) == fewer


def test_a_dropped_column_that_came_back_stops_the_table():
    with pytest.raises(TableStoppedError, match="n was dropped and created again"):
        require_followable(OLD, with_column(1, attnum=9))
    fewer = replace(OLD, columns=OLD.columns[:3]).following(OLD)
    with pytest.raises(TableStoppedError, match="share was dropped and created again"):
        require_followable(fewer, with_column(3, attnum=9).following(fewer))


def test_a_renamed_column_stops_the_table():
    with pytest.raises(TableStoppedError, match="n was renamed to m"):
        require_followable(OLD, with_column(1, name="m"))


@pytest.mark.parametrize(
    ("number", "postgres", "spark"),
    [(1, "bigint", "bigint"), (2, "numeric(10,2)", "decimal(10,2)"), (3, "double precision", "double")],
)
def test_a_widened_column_is_widened_in_both_tables(number, postgres, spark):
    name = OLD.columns[number].name
    assert ddl(OLD, with_column(number, postgres=postgres)) == [
        f"ALTER TABLE m ALTER COLUMN `{name}` TYPE {spark}",
        f"ALTER TABLE c ALTER COLUMN before.`{name}` TYPE {spark}",
        f"ALTER TABLE c ALTER COLUMN after.`{name}` TYPE {spark}",
    ]


@pytest.mark.parametrize(
    ("number", "postgres"),
    [(1, "text"), (1, "real"), (2, "numeric(6,2)"), (2, "numeric(10,3)"), (2, "numeric(8,1)"), (2, "integer")],
)
def test_a_narrowed_or_retyped_column_stops_the_table(number, postgres):
    name = OLD.columns[number].name
    with pytest.raises(TableStoppedError, match=rf"column {name} changed from .* to {postgres.split('(')[0]}") as stop:
        require_followable(OLD, with_column(number, postgres=postgres))
    assert stop.value.remedy == "lake resync public.things"


def test_a_narrower_integer_stops_the_table():
    with pytest.raises(TableStoppedError):
        require_followable(with_column(1, postgres="bigint"), OLD)
    assert ddl(with_column(1, postgres="smallint"), OLD) == []


@pytest.mark.parametrize(
    ("old", "new", "followed"),
    [
        ("character varying(10)", "character varying(20)", True),
        ("character varying(10)", "text", True),
        ("text", "character varying(10)", False),
        ("character varying(20)", "character varying(10)", False),
        ("character(3)", "text", False),
        ("timestamp without time zone", "timestamp(0) without time zone", False),
        ("json", "jsonb", False),
    ],
)
def test_a_type_of_the_same_lake_type_is_followed_only_if_no_value_can_change(old, new, followed):
    before, after = with_column(1, postgres=old), with_column(1, postgres=new)
    if followed:
        assert ddl(before, after) == []
    else:
        with pytest.raises(TableStoppedError, match="column n changed"):
            require_followable(before, after)


def test_a_resync_drops_and_adds_a_retyped_column():
    assert statements(*in_the_lake(OLD), with_column(1, postgres="text"), "m", "c")[:2] == [
        "ALTER TABLE m DROP COLUMN `n`",
        "ALTER TABLE m ADD COLUMNS (`n` string)",
    ]


@pytest.mark.parametrize("key", [("n",), ("id", "n"), ()])
def test_another_primary_key_stops_the_table(key):
    with pytest.raises(TableStoppedError, match="its primary key changed"):
        require_followable(OLD, replace(OLD, key=key))


@pytest.mark.parametrize(
    ("postgres", "partitioned_by", "again"),
    [("text", ["n"], True), ("text", ["amount"], False), ("text", [], False), ("bigint", ["n"], False)],
)
def test_a_partitioned_mirror_is_made_anew_when_its_column_has_another_type(postgres, partitioned_by, again):
    retyped = with_column(1, postgres=postgres)
    if not again:
        require_rebuildable(*in_the_lake(OLD), retyped, partitioned_by)
        return
    with pytest.raises(TableStoppedError, match="by which its mirror is partitioned") as stop:
        require_rebuildable(*in_the_lake(OLD), retyped, partitioned_by)
    assert "--drop" in stop.value.remedy


def test_a_log_that_gets_a_key_and_a_table_that_loses_its_own_are_made_anew():
    log = replace(OLD, key=())
    require_rebuildable(*in_the_lake(log), log, [])
    for before, after in ((log, OLD), (OLD, log)):
        with pytest.raises(TableStoppedError, match="primary key"):
            require_rebuildable(*in_the_lake(before), after, [])
