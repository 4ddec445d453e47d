"""A transaction's visibility follows Postgres' rules, across the 32-bit border too, in Python as in DuckDB."""

import duckdb
import pytest

from catalog.visibility import PostgresSnapshot

SNAPSHOT = PostgresSnapshot.parse("100:110:100,105")
BORDER = PostgresSnapshot.parse(f"{2**32 - 3}:{2**32 + 4}:{2**32 - 3},{2**32 + 1}")


@pytest.mark.parametrize(
    ("xid", "seen"),
    [(1, True), (99, True), (100, False), (101, True), (105, False), (109, True), (110, False), (500, False)],
)
def test_running_and_later_transactions_are_unseen(xid, seen):
    assert SNAPSHOT.sees(xid) is seen


@pytest.mark.parametrize(
    ("low_bits", "seen"),
    [(2**32 - 4, True), (2**32 - 3, False), (2**32 - 2, True), (0, True), (1, False), (3, True), (4, False)],
)
def test_ids_wrap_at_32_bits(low_bits, seen):
    assert BORDER.sees(low_bits) is seen


@pytest.mark.parametrize("snapshot", [SNAPSHOT, BORDER, PostgresSnapshot.parse("7:7:")])
def test_duckdb_condition_says_the_same(snapshot):
    xids = [*range(130), *range(2**32 - 20, 2**32)]
    connection = duckdb.connect()
    connection.execute("create table events as select unnest(?::bigint[]) as xid", [xids])
    unseen = connection.execute(f"select xid from events where {snapshot.unseen_sql('xid')}").fetchall()
    assert {row[0] for row in unseen} == {xid for xid in xids if not snapshot.sees(xid)}


def test_an_event_without_a_transaction_is_seen():
    assert duckdb.sql(f"select {SNAPSHOT.unseen_sql('null::bigint')}").fetchone() == (False,)
