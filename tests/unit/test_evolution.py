"""A changed source schema is followed where every row keeps its value, and stops the table where none can tell."""

from dataclasses import replace

import pytest
from streaming_model.envelopes import table

from catalog.errors import TableStoppedError
from catalog.source import SourceColumn
from streaming.evolution import Evolution, plan

OLD = table(("id", "integer"), ("n", "integer"), ("amount", "numeric(8,2)"), ("share", "real"))


def with_column(number, **changes):
    columns = list(OLD.columns)
    columns[number] = replace(columns[number], **changes)
    return replace(OLD, columns=tuple(columns))


def added(name="new", attnum=9, postgres="text"):
    return replace(OLD, columns=(*OLD.columns, SourceColumn(name, attnum, postgres, False, False)))


def test_nothing_to_do():
    assert plan(OLD, OLD) == Evolution()
    assert plan(OLD, with_column(1, not_null=True)) == Evolution()


def test_an_added_column_is_added_to_both_tables():
    evolution = plan(OLD, added(postgres="numeric(4,1)[]"))
    assert [column.name for column in evolution.added] == ["new"]
    assert evolution.statements("m", "c") == [
        "ALTER TABLE m ADD COLUMNS (`new` array<decimal(4,1)>)",
        "ALTER TABLE c ADD COLUMNS (before.`new` array<decimal(4,1)>)",
        "ALTER TABLE c ADD COLUMNS (after.`new` array<decimal(4,1)>)",
    ]


def test_an_added_column_whose_default_old_rows_have_too_stops_the_table():
    with pytest.raises(TableStoppedError, match="new was added with a default"):
        plan(OLD, added(), with_default=frozenset({"new"}))
    assert plan(OLD, added(), with_default=frozenset({"n"})).added


def test_a_dropped_column_stays_as_it_is():
    assert plan(OLD, replace(OLD, columns=OLD.columns[:2])) == Evolution()


def test_a_dropped_column_that_came_back_stops_the_table():
    with pytest.raises(TableStoppedError, match="n was dropped and created again"):
        plan(OLD, with_column(1, attnum=9))


def test_a_renamed_column_is_a_new_one():
    assert [column.name for column in plan(OLD, with_column(1, name="m")).added] == ["m"]


@pytest.mark.parametrize(
    ("number", "postgres", "spark"),
    [(1, "bigint", "bigint"), (2, "numeric(10,2)", "decimal(10,2)"), (3, "double precision", "double")],
)
def test_a_widened_column_is_widened_in_both_tables(number, postgres, spark):
    evolution = plan(OLD, with_column(number, postgres=postgres))
    name = OLD.columns[number].name
    assert evolution.added == ()
    assert evolution.statements("m", "c") == [
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
        plan(OLD, with_column(number, postgres=postgres))
    assert stop.value.remedy == "lake resync public.things"


def test_a_narrower_integer_stops_the_table():
    wide = with_column(1, postgres="bigint")
    with pytest.raises(TableStoppedError):
        plan(wide, OLD)
    assert plan(with_column(1, postgres="smallint"), OLD) == Evolution()


@pytest.mark.parametrize("key", [("n",), ("id", "n"), ()])
def test_another_primary_key_stops_the_table(key):
    with pytest.raises(TableStoppedError, match="its primary key changed"):
        plan(OLD, replace(OLD, key=key))
