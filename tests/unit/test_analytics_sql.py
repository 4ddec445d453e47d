"""Every analytics table has its .sql file, whose last select makes exactly the declared columns."""

import pytest
import sqlglot

from batch.analytics.steps import HELD_VIEWS, TRANSFORMS
from batch.analytics.views import ORIGINS, SQL, statement
from catalog.tables import TABLES
from catalog.tables.analytics import WRITER

VIEWS = {"trips", "weather_hours", *HELD_VIEWS, *(f"{origin}_trips" for origin in ORIGINS)}
SHARED = ["trip", "pickup_local", "pickup_at", "dropoff_at", "location_id", "dropoff_location_id", "passenger_count"]


def columns(name: str) -> list[str]:
    return sqlglot.parse_one(statement(name), dialect="spark").named_selects


@pytest.mark.parametrize("table", TRANSFORMS, ids=lambda table: table.name)
def test_the_last_select_makes_the_declared_columns_in_their_order(table):
    assert columns(table.name) == list(table.column_names)


@pytest.mark.parametrize("table", TRANSFORMS, ids=lambda table: table.name)
def test_an_origin_is_whole_partitions_of_a_listed_table(table):
    assert table in TABLES
    assert table.writer == WRITER
    assert table.interval == ("origin",)
    assert table.partition[0] == table.key[0] == "origin"


def test_every_file_is_a_table_or_a_view():
    assert {path.stem for path in SQL.glob("*.sql")} == {table.name for table in TRANSFORMS} | VIEWS


def test_both_origins_have_the_same_columns():
    assert columns("tlc_trips") == columns("cdc_trips")
    assert columns("tlc_trips")[:8] == ["origin", *SHARED]
    assert columns("trips") == [*columns("tlc_trips"), "counted"]


@pytest.mark.parametrize("name", sorted(VIEWS | {table.name for table in TRANSFORMS}))
def test_a_file_says_its_grain_on_top(name):
    comment = statement(name).split("\nwith ")[0].split("\nselect")[0]
    assert all(line.startswith("-- ") for line in comment.splitlines())
    assert "Grain: " in comment
