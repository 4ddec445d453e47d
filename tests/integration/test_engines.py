"""DuckDB, Spark and Trino answer alike, and as of an LSN each gives what Postgres held then."""

import json
import re

import httpx
import psycopg
import pytest

from catalog.errors import ConfigurationError, HistoryError, QueryError
from catalog.java import TRINO, find_java
from catalog.time_travel import AsOf
from lake.comparison import rows
from lake.queries import Answers
from stack.supervision import Supervisor

TRANSACTIONS = 20
MOMENT = "select pg_current_wal_insert_lsn()::text"


@pytest.fixture(scope="module")
def trino(stack):
    """Trino beside the shared stack, started once; without a JDK for it, what needs it is told as not run."""
    if missing := _missing_jdk(stack):
        pytest.skip(f"Trino is not run: {missing}")
    done = stack.lake("up", "--with", "trino", seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    with Answers(stack.settings, "trino") as answers:
        yield answers
    Supervisor(stack.settings).stop_program("trino")


@pytest.fixture(scope="module")
def duckdb(stack):
    with Answers(stack.settings, "duckdb") as answers:
        yield answers


@pytest.fixture(scope="module")
def moments(stack, joined) -> list[tuple[str, list[tuple]]]:
    """LSNs with the rows that Postgres held there, while one session commits and another holds its changes back."""
    table, held = joined["dated"], []
    with (
        psycopg.connect(stack.settings.source_dsn("taxi"), autocommit=True) as quick,
        psycopg.connect(stack.settings.source_dsn("taxi")) as slow,
    ):
        for n in range(TRANSACTIONS):
            with quick.transaction():
                quick.execute(f"insert into {table} values ({10 * n}, {n}, 'new'), ({10 * n + 1}, {n}, null)")
                quick.execute(
                    f"update {table} set amount = amount + 1, note = 'again' where id % 3 = {n % 3} and id < 5000"
                )
                quick.execute(f"delete from {table} where id = {10 * n - 20}")
            slow.execute(f"insert into {table} values ({5000 + n}, {n}, 'late')")
            if n % 4 == 3:
                slow.commit()
            moment = quick.execute(MOMENT).fetchone()[0]
            held.append((moment, quick.execute(f"select id, amount, note from {table} order by id").fetchall()))
        slow.commit()
        quick.execute(f"truncate {table}")
        held.append((quick.execute(MOMENT).fetchone()[0], []))
        quick.execute(f"insert into {table} values (1, 1, 'after')")
    stack.verified(table)
    return held


def as_of(answers: Answers, mirror: str, lsn: str) -> list[tuple]:
    """What the mirror held; where the lake cannot tell, at the commit that it names as the one with the transaction."""
    query = f"select id, amount, note from taxi_cdc.{mirror} order by id"
    try:
        return rows(answers.ask(query, AsOf.parse(f"lsn:{lsn}")))
    except HistoryError as doubtful:
        later = re.search(r"(lsn:\S+) is with it", doubtful.remedy)
        assert later, doubtful
        return rows(answers.ask(query, AsOf.parse(later[1])))


def test_as_of_an_lsn_is_what_postgres_held(joined, moments, duckdb):
    for lsn, expected in moments:
        assert as_of(duckdb, joined.mirror("dated"), lsn) == expected, lsn


def test_trino_folds_alike_and_only_reads(stack, joined, moments, trino):
    for lsn, expected in moments[::7]:
        assert as_of(trino, joined.mirror("dated"), lsn) == expected, lsn
    with pytest.raises(QueryError, match="Access Denied"):
        trino.ask(f"delete from taxi_cdc.{joined.mirror('dated')}")
    assert stack.states()["trino"].healthy
    metrics = httpx.get(f"{stack.settings.trino}/metrics", auth=("lake", ""), trust_env=False)
    assert "trino_execution" in metrics.text
    log = (stack.settings.state_dir / "logs" / "trino.log").read_text()
    assert "SERVER STARTED" in log
    assert not [secret for secret in stack.settings.secrets.model_dump().values() if secret in log]


def test_twenty_questions_have_the_same_answers(request, stack):
    expected = {"duckdb", "spark"}
    if not _missing_jdk(stack):
        request.getfixturevalue("trino")
        expected.add("trino")
    stack.traffic(100, seed=31)
    stack.verified("public.trips")
    done = stack.lake("compare-engines", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert set(report["engines"]) == expected and set(report["not_run"]) == {"trino"} - expected
    verdicts = {each["about"]: each["verdict"] for each in report["questions"]}
    assert len(verdicts) == 20 and set(verdicts.values()) <= {"equal", "not compared"}
    left_out = {about for about, verdict in verdicts.items() if verdict != "equal"}
    assert left_out <= {"arrays of a partitioned table", "partitions and local times"}, report["questions"]


def _missing_jdk(stack) -> str:
    try:
        find_java(stack.settings, TRINO)
    except ConfigurationError as missing:
        return str(missing)
    return ""
