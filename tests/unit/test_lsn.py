"""Folded as of any LSN, a changelog gives what had committed by then, or says what it does not know."""

import itertools
import re
from dataclasses import dataclass, field

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import HistoryError
from catalog.history import lsn_number
from catalog.lsn import Fold, bounded, parse_lsn

START = 100
"""LSN of the initial copy, of keys 0 and 1."""
COPIED = {0: 0, 1: 0}
SESSIONS = 3
"""Each changes keys of its own, as row locks would have it."""
TRIPS = Fold("taxi_cdc.trips_cdc", 0, ("id",), ("id", "value"))
CHANGELOGS = ("taxi_cdc.trips_cdc", "taxi_cdc.vendors_cdc")
COLUMNS = """op varchar, previous_commit_lsn bigint, lsn bigint, transaction_id bigint, topic_partition int,
    topic_offset bigint, generation int, "key" struct(id int), "after" struct(id int, "value" int),
    unchanged varchar[]"""

# What happens next in the WAL: a session changes or deletes a row, writes to the other table or commits; or the
# connector's heartbeat commits, of which no changelog knows; or all rows of a table go.
STEPS = st.lists(
    st.tuples(st.sampled_from(["change", "delete", "other", "commit", "heartbeat", "truncate"]), st.integers(0, 5)),
    min_size=4,
    max_size=24,
)


@dataclass
class Wal:
    """What Postgres did, and the events that logical decoding makes of it: by transaction, in the order of commits."""

    lsn: int = START
    last_commit: int | None = None
    rows: dict[int, int] = field(default_factory=lambda: dict(COPIED))
    history: list[tuple[int, dict[int, int]]] = field(default_factory=lambda: [(START, dict(COPIED))])
    events: list[tuple] = field(default_factory=list)
    others: list[tuple] = field(default_factory=list)
    open: dict[int, list[tuple[int, str, int]]] = field(default_factory=dict)

    def step(self, what: str, number: int) -> None:
        self.lsn += 3
        session = number % SESSIONS
        if what == "heartbeat":
            self.last_commit = self.lsn
        elif what == "commit":
            self.commit(self.open.pop(session, []))
        elif what == "truncate":
            if not any(self.open.values()):
                self.commit([(self.lsn, "truncate", 0)])
        else:
            self.open.setdefault(session, []).append((self.lsn, what, number))

    def commit(self, changes: list[tuple[int, str, int]]) -> None:
        if not changes:
            return
        self.lsn += 2
        for lsn, what, key in changes:
            self.event(lsn, what, key, changes[0][0])
        self.last_commit = self.lsn
        self.history.append((self.lsn, dict(self.rows)))

    def event(self, lsn: int, what: str, key: int, transaction: int) -> None:
        facts = (self.last_commit, lsn, transaction)
        if what == "other":
            self.others.append(("c", *facts, 0, len(self.others), 0, {"id": len(self.others)}, None))
        elif what == "truncate":
            self.rows.clear()
            self.events.append(("t", *facts, 0, self.offset, 0, None, None))
        elif what == "delete":
            if self.rows.pop(key, None) is not None:
                self.events.append(("d", *facts, 0, self.offset, 0, {"id": key}, None))
        else:
            op = "u" if key in self.rows else "c"
            self.rows[key] = lsn
            self.events.append((op, *facts, 0, self.offset, 0, {"id": key}, {"id": key, "value": lsn}))

    @property
    def offset(self) -> int:
        return len(self.events) + len(COPIED)

    def at(self, lsn: int) -> dict[int, int]:
        """What Postgres held."""
        return [rows for commit, rows in self.history if commit <= lsn][-1]


@pytest.fixture(scope="module")
def lake():
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as iceberg")
        connection.execute("create schema iceberg.taxi_cdc")
        yield connection


def write(lake, wal: Wal) -> None:
    copied = [
        ("r", None, START, None, 0, key, 0, {"id": key}, {"id": key, "value": value}) for key, value in COPIED.items()
    ]
    for name, events in zip(CHANGELOGS, ([*copied, *wal.events], wal.others), strict=True):
        lake.execute(f"create or replace table iceberg.{name} ({COLUMNS})")
        if events:
            lake.executemany(f"insert into iceberg.{name} values ({', '.join('?' * 9)}, null)", events)


def folded(lake, lsn: int) -> dict[int, int]:
    return dict(lake.execute(bounded(lake, TRIPS, CHANGELOGS, lsn).sql('"')).fetchall())


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, data=st.data())
def test_a_fold_is_what_postgres_held_or_names_both_sides_of_what_it_cannot_know(lake, steps, data):
    wal = Wal()
    for step in steps:
        wal.step(*step)
    write(lake, wal)
    lsn = data.draw(st.integers(START, wal.lsn + 2))
    try:
        assert folded(lake, lsn) == wal.at(lsn)
    except HistoryError as unknown:
        known = [lsn_number(text) for text in re.findall(r"lsn:([0-9A-F]+/[0-9A-F]+)", unknown.remedy)]
        certain = lsn in dict(wal.history) and not any(what == "heartbeat" for what, _ in steps)
        assert not certain or "has not come to" in str(unknown)
        for other in known:
            assert folded(lake, other) == wal.at(other)


def test_at_no_lsn_is_another_state_shown_than_postgres_held(lake):
    """Asked at every LSN: amid a transaction, between its last change and its commit, and behind a heartbeat's."""
    wal = Wal()
    steps = [("change", 0), ("change", 3), ("commit", 0), ("change", 1), ("commit", 1), ("heartbeat", 0)]
    for step in [*steps, ("change", 2), ("commit", 2), ("other", 0), ("commit", 0)]:
        wal.step(*step)
    write(lake, wal)
    held, unknown = [], set()
    for lsn in range(START, wal.history[-2][0] + 1):
        try:
            assert folded(lake, lsn) == wal.at(lsn), lsn
            held.append(wal.at(lsn))
        except HistoryError as refused:
            assert "does not know on which side" in str(refused)
            unknown.add(lsn)
    first, second, third, _ = (commit for commit, _ in wal.history[1:])
    assert {second, second + 1} <= unknown, "only a heartbeat names the commit before"
    assert not {START, first, first + 1, third} & unknown
    shown = [rows for before, rows in itertools.pairwise([{}, *held]) if rows != before]
    assert shown == [rows for _, rows in wal.history[:-1]]


def test_before_the_copy_and_after_the_newest_commit_nothing_is_guessed(lake):
    wal = Wal()
    for step in [("change", 0), ("commit", 0), ("change", 0), ("commit", 0)]:
        wal.step(*step)
    write(lake, wal)
    with pytest.raises(HistoryError, match="was copied at LSN 0/64"):
        folded(lake, START - 1)
    with pytest.raises(HistoryError, match="has not come to lsn:0/C8 yet"):
        folded(lake, 200)


def test_a_changelog_that_left_values_out_is_not_folded(lake):
    wal = Wal()
    for step in [("change", 0), ("commit", 0), ("other", 0), ("commit", 0)]:
        wal.step(*step)
    write(lake, wal)
    lake.execute("update iceberg.taxi_cdc.trips_cdc set unchanged = ['value'] where op = 'u'")
    assert folded(lake, START) == COPIED
    with pytest.raises(HistoryError, match="1 updates of"):
        folded(lake, wal.others[0][1])


def test_a_changelog_whose_copy_made_no_row_begins_with_its_first_event(lake):
    wal = Wal(last_commit=110, lsn=110)
    for step in [("change", 4), ("commit", 4), ("other", 0), ("commit", 0)]:
        wal.step(*step)
    write(lake, wal)
    lake.execute("delete from iceberg.taxi_cdc.trips_cdc where op = 'r'")
    assert folded(lake, wal.others[0][1]) == {4: wal.rows[4]}
    with pytest.raises(HistoryError, match="was copied at LSN 0/6E"):
        folded(lake, 109)


def test_names_are_quoted_as_the_engine_wants_it():
    fold = Fold("taxi_cdc.odd", 1, ("a b", "c"), ("a b", "order"), 5, 9)
    assert '"key"."a b" as k0' in fold.sql('"') and "`key`.`a b` as k0" in fold.sql("`")
    assert 'e."after"."order" as "order"' in fold.sql('"')
    assert "iceberg.`taxi_cdc`.`odd`" in fold.sql("`")


@pytest.mark.parametrize(("text", "number"), [("16/B374D848", 0x16B374D848), ("0/0", 0), ("255", 255)])
def test_lsns_as_postgres_and_history_write_them(text, number):
    assert parse_lsn(text) == number


@pytest.mark.parametrize("text", ["", "16/", "x/1", "1/123456789", "-5", "9" * 30])
def test_what_is_no_lsn_is_refused(text):
    with pytest.raises(HistoryError):
        parse_lsn(text)
