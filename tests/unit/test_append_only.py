"""Tables without a key: rows are added, as often as they come, and compared so; no other change is taken."""

import duckdb
import pytest
from streaming_model.envelopes import envelope, records, table

from catalog.lsn import Fold
from catalog.tables.cdc import changelog_schema
from catalog.verification.multiset import unlike
from streaming.envelope import decode
from streaming.folding import fold

LOG = table(("at", "integer"), ("what", "text"), key=())


def line(at, what="x"):
    return {"at": at, "what": what}


def decoded(*events):
    return decode(records(*events, keys=[None] * len(events)), LOG)


def test_rows_alike_and_rows_of_nothing_but_nulls_are_all_added():
    lines = [line(1), line(1), line(None, None), line(1)]
    found = decoded(*(envelope("c", after=each) for each in lines))
    assert not found.rejects
    change = fold(found.events, ())
    assert change.upserts.to_pylist() == lines
    assert not change.truncate and len(change.touched) == 0


def test_a_truncate_forgets_what_came_before():
    change = fold(decoded(envelope("c", after=line(1)), envelope("t"), envelope("c", after=line(2))).events, ())
    assert change.truncate and change.upserts.to_pylist() == [line(2)]


def test_its_changelog_has_no_key():
    assert "key" not in changelog_schema(LOG).names


@pytest.fixture
def lake():
    with duckdb.connect() as connection:
        yield connection


def test_rows_are_compared_as_often_as_they_are_there(lake):
    lake.execute("create table a as select * from (values (1, 'x'), (1, 'x'), (null, null), (2, 'y')) v (n, what)")
    lake.execute("create table b as select * from (values (1, 'x'), (null, null), (2, 'z')) v (n, what)")
    assert unlike(lake, "a", "a", 9) == (0, [])
    count, rows = unlike(lake, "a", "b", 9)
    assert count == 2 and sorted(row["what"] for row in rows) == ["x", "y"]
    assert unlike(lake, "b", "a", 9) == (1, [{"n": 2, "what": "z"}])


def test_its_past_is_what_had_been_added(lake):
    lake.execute("attach ':memory:' as iceberg")
    lake.execute("create schema iceberg.taxi_cdc")
    lake.execute(
        "create table iceberg.taxi_cdc.log_cdc as select op, generation, place::bigint as topic_offset,"
        " 0 as topic_partition, commit as previous_commit_lsn, {'at': place} as after from (values"
        " ('r', 1, null, null), ('c', 1, 1, 10), ('t', 1, 2, 20), ('c', 1, 3, 20), ('c', 1, 4, 20), ('c', 1, 5, 30))"
        " v (op, generation, place, commit)"
    )
    fold_at = Fold("taxi_cdc.log_cdc", 1, (), ("at",), 5, 30, truncated=2)
    assert sorted(lake.execute(fold_at.sql('"')).fetchall()) == [(3,), (4,)]
