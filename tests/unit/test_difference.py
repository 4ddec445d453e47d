"""Two points of a table, cell by cell."""

import duckdb
import pytest

from catalog.difference import compared

HELD = "(select * from (values (1, 'a', 1.5, [1]), (3, 'c', 'nan'::double, {}), {}) as held (id, note, fare, tags))"
BEFORE = HELD.format("[3]", "(2, null, 2.5, null), (4, 'd', 4, [])")
AFTER = HELD.format("[3, null]", "(2, '', 2.5, null), (5, null, 0, [])")


@pytest.fixture(scope="module")
def reader():
    with duckdb.connect() as connection:
        yield connection


def test_rows_added_removed_and_changed_are_told_by_cell(reader):
    counts, rows = compared(reader, (BEFORE, AFTER), ("id",), 10)
    assert counts == {"added": 1, "removed": 1, "changed": 2}
    assert [(row.kind, row.key, row.columns) for row in rows] == [
        ("changed", {"id": 2}, {"note": (None, "")}),
        ("changed", {"id": 3}, {"tags": ([3], [3, None])}),
        ("removed", {"id": 4}, {"note": ("d", None), "fare": (4.0, None), "tags": ([], None)}),
        ("added", {"id": 5}, {"fare": (None, 0.0), "tags": (None, [])}),
    ]


def test_all_are_counted_however_few_are_shown(reader):
    counts, rows = compared(reader, (BEFORE, AFTER), ("id",), 1)
    assert sum(counts.values()) == 4 and [row.key["id"] for row in rows] == [2]


def test_a_column_that_came_later_was_null(reader):
    younger = "(select 1 as id, 'x' as note)"
    counts, (row,) = compared(reader, ("(select 1 as id)", younger), ("id",), 9)
    assert counts["changed"] == 1 and row.columns == {"note": (None, "x")}


def test_without_a_key_rows_come_and_go(reader):
    counts, _ = compared(reader, (BEFORE, AFTER), (), 9)
    assert counts == {"added": 3, "removed": 3, "changed": 0}
