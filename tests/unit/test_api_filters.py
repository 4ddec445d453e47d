"""Conditions name columns of the table and operators of the list; values, whatever they say, are bound."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from serving.api.filters import conditions
from serving.api.moments import full_window, past
from serving.api.problems import ProblemError

COLUMNS = {
    "zone": "string",
    "fare": "decimal(8, 2)",
    "at": "timestamptz",
    'odd"name': "int",
    "image": "struct<1: a: optional int>",
}
INJECTIONS = [
    line for line in (Path(__file__).parent / "injections.txt").read_text().splitlines() if not line.startswith("#")
]


def refused(where: list[str]) -> ProblemError:
    with pytest.raises(ProblemError) as found:
        conditions(where, COLUMNS)
    return found.value


def test_conditions_hold_together_and_bind_their_values():
    sql, values = conditions(["zone:in:JFK Airport,Astoria", "fare:ge:2.50", "at:known"], COLUMNS)
    assert sql == (
        '"zone" in (cast($where_0 as varchar), cast($where_1 as varchar)) and "fare" >= cast($where_2 as decimal(8, 2))'
        ' and "at" is not null'
    )
    assert values == {"where_0": "JFK Airport", "where_1": "Astoria", "where_2": "2.50"}


def test_a_value_may_hold_colons_and_no_condition_is_true():
    assert conditions(["zone:eq:a:b"], COLUMNS)[1] == {"where_0": "a:b"}
    assert conditions([], COLUMNS) == ("true", {})


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "2026-01-31 07:00:00-05:00", "2026-01-31T12:00"])
def test_a_time_is_read_as_utc_unless_it_names_its_zone(text):
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert conditions([f"at:lt:{text}"], COLUMNS)[1] == {"where_0": noon}
    assert conditions([f"at:lt:{text}"], {"at": "timestamp"})[1] == {"where_0": noon.replace(tzinfo=None)}


@pytest.mark.parametrize("where", ["at:eq:soon", "at:eq:0001-01-01T00:00:00+14:00", "share:eq:NaN", "share:in:1,-nan"])
def test_a_value_that_no_engine_could_compare_is_refused(where):
    assert conditions(["share:eq:1"], {"share": "double"})[0] == '"share" = cast($where_0 as double)'
    with pytest.raises(ProblemError) as found:
        conditions([where], {**COLUMNS, "share": "double"})
    assert found.value.name == "invalid-request"


def test_a_column_with_quotes_in_its_name_is_quoted():
    assert conditions(['odd"name:eq:1'], COLUMNS)[0] == '"odd""name" = cast($where_0 as integer)'


@pytest.mark.parametrize("where", ["", ":", "zone", "zone:", "zone:like:%", "zone:EQ:x", "image:eq:1"])
def test_what_is_no_condition_is_refused(where):
    assert refused([where]).name in ("invalid-request", "unknown-column")


def test_an_unknown_column_says_what_was_meant():
    problem = refused(["zon:eq:1"])
    assert (problem.name, "did you mean zone?" in problem.detail) == ("unknown-column", True)


def test_a_list_of_values_is_bounded():
    assert refused([f"zone:in:{',' * 100}"]).name == "invalid-request"


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_is_a_value_or_nothing(text):
    assert refused([f"{text}:eq:1"]).name == "unknown-column"
    assert refused([f"fare:{text}:1"]).name == "invalid-request"
    sql, values = conditions([f"zone:eq:{text}"], COLUMNS)
    with duckdb.connect() as connection:
        connection.execute("create table rides as select 'JFK' as zone")
        assert connection.execute(f"select * from rides where {sql}", values).fetchall() == []
        assert connection.execute("select count(*) from rides").fetchone() == (1,)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "time:", "time:soon", "snapshot:", "snapshot:-1", "snapshot:x", "time:-1y", "time:-99999999999d",
     "time:0001-01-01", "time:9999-12-31T23:59:59-14:00", "lsn:0/1"],
)  # fmt: skip
def test_a_past_that_cannot_be_is_refused(text):
    with pytest.raises(ProblemError) as found:
        past(text)
    assert found.value.name == "invalid-request"


def test_a_past_is_a_time_in_utc_or_a_snapshot():
    assert past("snapshot:123") == 123
    moment = past("time:2026-01-31T07:00:00-05:00")
    assert moment.isoformat() == "2026-01-31T12:00:00+00:00"
    assert past("time:2026-01-31T12:00") == moment
    assert full_window(moment.replace(minute=14, second=59)).minute == 10
