"""DuckDB, Spark and Trino answer alike, and as of an LSN or a time each gives what Postgres held then."""

import json
import re

import httpx
import pytest
from wal_replay import Moment, decoder, random_transactions

from catalog.errors import HistoryError, QueryError
from catalog.time_travel import AsOf
from lake.comparison import rows
from lake.queries import Answers

TRANSACTIONS = 30
SEED = 20
"""Of the random transactions; some of them are rolled back or change no row."""


@pytest.fixture(scope="module")
def trino(stack, trino_server):
    with Answers(stack.settings, "trino") as answers:
        yield answers


@pytest.fixture(scope="module")
def duckdb(stack):
    with Answers(stack.settings, "duckdb") as answers:
        yield answers


@pytest.fixture(scope="module")
def moments(stack, joined) -> list[Moment]:
    """What an independent decoder tells of random transactions: the rows after each commit."""
    table = joined["dated"]
    with decoder(stack.settings.source_dsn("cdc")) as independent:
        random_transactions(stack.settings.source_dsn("taxi"), table, TRANSACTIONS, SEED)
        held = list(independent.moments(table))
    stack.execute(f"insert into {table} values (5000, 1, 'after')")
    stack.verified(table)
    return held


def as_of(answers: Answers, mirror: str, past: str) -> list[tuple]:
    """What the mirror held; where the lake cannot tell, at the commit that it names as the one with the transaction."""
    query = f"select id, amount, note from taxi_cdc.{mirror} order by id"
    try:
        return rows(answers.ask(query, AsOf.parse(past)))
    except HistoryError as doubtful:
        later = re.search(r"(lsn:\S+) is with it", doubtful.remedy)
        assert later, doubtful
        return rows(answers.ask(query, AsOf.parse(later[1])))


def test_as_of_a_commit_or_its_time_is_what_an_independent_decoder_tells(joined, moments, duckdb):
    assert len(moments) >= 20 and any(not moment.rows for moment in moments)
    for moment in moments:
        for past in (f"lsn:{moment.lsn}", f"time:{moment.at.isoformat()}"):
            assert as_of(duckdb, joined.mirror("dated"), past) == moment.rows, (past, SEED)


def versions_at(mirror: str, moment: Moment) -> str:
    """A query that all engines take, of the rows that the history view says were valid."""
    at = f"timestamp '{moment.at:%Y-%m-%d %H:%M:%S.%f} UTC'"
    return f"""select id, amount, note from iceberg.taxi_cdc.{mirror}_history
        where valid_from <= {at} and (valid_to is null or valid_to > {at}) order by id"""


def test_the_history_view_holds_the_versions_of_each_moment(joined, moments, duckdb):
    for moment in moments:
        assert rows(duckdb.ask(versions_at(joined.mirror("dated"), moment))) == moment.rows, (moment.at, SEED)
    with pytest.raises(HistoryError, match="times of its own"):
        duckdb.ask(f"select * from taxi_cdc.{joined.mirror('dated')}_history", AsOf.parse("time:-1m"))


def test_trino_tells_the_past_alike_and_only_reads(stack, joined, moments, trino):
    for moment in moments[::9]:
        for past in (f"lsn:{moment.lsn}", f"time:{moment.at.isoformat()}"):
            assert as_of(trino, joined.mirror("dated"), past) == moment.rows, (past, SEED)
        assert rows(trino.ask(versions_at(joined.mirror("dated"), moment))) == moment.rows, (moment.at, SEED)
    with pytest.raises(QueryError, match="Access Denied"):
        trino.ask(f"delete from taxi_cdc.{joined.mirror('dated')}")
    assert stack.states()["trino"].healthy
    metrics = httpx.get(f"{stack.settings.trino}/metrics", auth=("lake", ""), trust_env=False)
    assert "trino_execution" in metrics.text
    log = (stack.settings.state_dir / "logs" / "trino.log").read_text()
    assert "SERVER STARTED" in log
    assert not [secret for secret in stack.settings.secrets.model_dump().values() if secret in log]


def test_twenty_questions_have_the_same_answers(request, stack, trino_missing):
    expected = {"duckdb", "spark"}
    if not trino_missing:
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
