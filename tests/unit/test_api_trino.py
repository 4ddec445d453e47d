"""The API's SQL for Trino: every question is translated, values are bound in order, and names stay what they are."""

import asyncio
import math

import duckdb
import httpx
import pytest
from sqlglot import parse_one

from catalog.errors import ComponentError
from catalog.settings import Settings
from catalog.tables import TABLES
from serving.api.app import create_app
from serving.api.by_trino import Trino, _pinned, translated
from serving.api.cursors import Cursor, Cursors
from serving.api.heads import Head
from serving.api.lake import page_query
from serving.api.problems import ProblemError
from serving.api.questions import Order, empty_view
from serving.api.routes import analytics, dashboard, operations, realtime
from serving.api.routes.tables import _question

QUESTIONS = [
    dashboard.STATS, dashboard.SERIES, dashboard.RECENT, analytics.ZONES, analytics.WEATHER, analytics.DEMAND,
    analytics.ACCURACY, realtime.ACTIVITY, operations.RESULTS, operations.RUNS,
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_is_trino_s_sql_with_its_values_bound(question):
    query, values = page_query(question.sql, question.order, 10, [1] * len(question.order))
    text, names = translated(query)
    assert text.count("?") == len(names) and set(values) <= set(names)
    assert "$" not in text and "qualify" not in text.lower()
    parse_one(text, dialect="trino")


def test_every_table_has_an_empty_shape_in_trino():
    for table in TABLES:
        text, names = translated(empty_view(table.identifier))
        assert not names
        assert [column.alias for column in parse_one(text, dialect="trino").selects] == list(table.column_names)


def test_values_are_bound_in_the_order_of_the_text_and_names_are_left_alone():
    text, names = translated("""select "what?", ":b", "$c" as "d""d" from t where x = $b and y in ($a, $b) limit 3""")
    assert names == ("b", "a", "b")
    assert text == """SELECT "what?", ":b", "$c" AS "d""d" FROM t WHERE x = ? AND y IN (?, ?) LIMIT 3"""


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("avg(fare) filter (where fare > $n)", "AVG(CAST(fare AS DOUBLE)) FILTER(WHERE fare > ?)"),
        ("$at::timestamptz", "CAST(? AS TIMESTAMP(6) WITH TIME ZONE)"),
        ("cast($at as timestamp)", "CAST(? AS TIMESTAMP(6))"),
        ("isnan(score)", "IS_NAN(score)"),
        ("$n::bigint * interval 1 hour", "CAST(? AS BIGINT) * INTERVAL '1' HOUR"),
    ],
)
def test_what_is_meant_stays_where_trino_s_words_mean_something_else(ours, theirs):
    assert translated(f"select {ours}")[0] == f"SELECT {theirs}"


def test_rows_are_told_apart_by_their_ids_or_by_all_they_hold():
    entry = type("Entry", (), {"snapshot_id": 7})()
    columns = {"id": "int", 'odd"name': "string"}
    with_ids = _pinned(Head("a.b", True, entry, columns, has_row_ids=True), True)
    assert '"$row_id" as _lake_row from iceberg."a"."b" for version as of 7' in with_ids
    assert 'row_number() over (order by "id", "odd""name")' in _pinned(Head("a.b", True, entry, columns), True)
    with pytest.raises(ProblemError) as refused:
        _pinned(Head("a.b", True, entry, {"id": "int", "tags": "map<string, string>"}), True)
    assert refused.value.name == "beyond-the-engine"


def test_a_cursor_of_the_other_engine_is_refused():
    text = Cursors("secret", "duckdb").write(Cursor("q", {}, {}, [1]))
    assert Cursors("secret", "duckdb").read(text).after == [1]
    with pytest.raises(ProblemError) as refused:
        Cursors("secret", "trino").read(text)
    assert refused.value.name == "malformed-cursor"


def test_a_trino_that_is_away_is_told_as_such(tmp_path):
    settings = Settings(_env_file=None, state_dir=tmp_path, api_engine="trino", trino_url="http://127.0.0.1:1")
    with pytest.raises(ComponentError, match="Trino does not answer"):
        Trino(settings).open()


def test_the_api_is_not_ready_without_its_engine(tmp_path):
    away = dict.fromkeys(("trino_url", "catalog_uri", "s3_endpoint"), "http://127.0.0.1:1")
    app = create_app(Settings(_env_file=None, state_dir=tmp_path, api_engine="trino", **away))

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/readyz")

    answer = asyncio.run(asked())
    assert answer.status_code == 503
    assert answer.json()["components"] == {"REST catalog": False, "S3 store": False, "Trino": False}


@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_an_order_that_holds_nan_and_null_lose_nothing(descending):
    values = [3.0, None, math.nan, -1.0, math.inf, math.nan, None, 0.0]
    head = Head("a.b", True, None, {"id": "int", "score": "double"})
    question = _question(head, ["id"], "true", f"{'-' if descending else ''}score")
    assert question.order[1] == Order("_lake_by", descending, "double")
    found, after = [], None
    with duckdb.connect() as connection:
        connection.execute("create table lake_table (id int, score double, _lake_file text, _lake_row int)")
        connection.executemany("insert into lake_table values (?, ?, '', ?)", [(n, v, n) for n, v in enumerate(values)])
        while len(found) < len(values):
            query, bound = page_query(question.sql, question.order, 1, after)
            row = dict(
                zip((d[0] for d in connection.execute(query, bound).description), connection.fetchone(), strict=True)
            )
            found.append(row["id"])
            after = [row[f"_order_{n}"] for n in range(len(question.order))]
    assert found == ([2, 5, 4, 0, 7, 3, 1, 6] if descending else [3, 7, 0, 4, 2, 5, 1, 6])
