"""The versions of a changelog's rows tell what stood at any time, and a row's life all that happened to it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import HistoryError
from catalog.row_life import parse_key, row_life
from catalog.versions import Versions

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRIPS = Versions("taxi_cdc.trips_cdc", ("id",), ("id", "value"))
VERSIONS = TRIPS.sql('"')
COLUMNS = """op varchar, lsn bigint, transaction_id bigint, committed_at timestamptz, topic_partition int,
    topic_offset bigint, generation int, "key" struct(id int), "before" struct(id int, "value" int),
    "after" struct(id int, "value" int), unchanged varchar[]"""
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "move", "truncate", "commit", "commit", "copy"]), st.integers(0, 3)
    ),
    min_size=3,
    max_size=25,
)


@dataclass
class Source:
    """What Postgres did, one transaction after another, as events of a changelog; `held` are the rows by time."""

    rows: dict[int, int] = field(default_factory=dict)
    events: list[tuple] = field(default_factory=list)
    held: dict[datetime, dict[int, int]] = field(default_factory=dict)
    clock: int = 0
    number: int = 0
    generation: int = 0

    @property
    def at(self) -> datetime:
        return BEGAN + timedelta(seconds=self.clock)

    def step(self, what: str, key: int) -> None:
        self.number += 1
        if what == "commit":
            self.held[self.at] = dict(self.rows)
            self.clock += 1
        elif what == "put":
            self.event("u" if key in self.rows else "c", key, self.rows.get(key), self.number)
        elif what == "delete" and key in self.rows:
            self.event("d", key, self.rows[key], None)
        elif what == "move" and key in self.rows and key + 100 not in self.rows:
            value = self.rows[key]
            self.event("d", key, value, None)
            self.event("c", key + 100, None, value)
        elif what == "truncate":
            self.rows.clear()
            self.event("t", None, None, None)
        elif what == "copy":
            self.step("commit", 0)
            self.copy()

    def event(self, op: str, key: int | None, before: int | None, after: int | None) -> None:
        image = [None if value is None else {"id": key, "value": value} for value in (before, after)]
        place = (0, len(self.events), self.generation)
        told = None if key is None else {"id": key}
        self.events.append((op, self.number, self.clock, self.at, *place, told, *image, None))
        if key is not None:
            self.rows.pop(key, None)
            if after is not None:
                self.rows[key] = after

    def copy(self) -> None:
        """A resync: the rows anew, at no place of the topic; one that is empty leaves a truncate there."""
        self.generation += 1
        facts = (self.number, None, self.at, None, None, self.generation)
        found = [("r", *facts, {"id": k}, None, {"id": k, "value": v}, None) for k, v in self.rows.items()]
        self.events += found or [("t", *facts, None, None, None, None)]
        self.held[self.at] = dict(self.rows)
        self.clock += 1


@pytest.fixture(scope="module")
def lake():
    with duckdb.connect() as connection:
        connection.execute("attach ':memory:' as iceberg")
        connection.execute("create schema iceberg.taxi_cdc")
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def write(lake, source: Source) -> None:
    lake.execute(f"create or replace table iceberg.taxi_cdc.trips_cdc ({COLUMNS})")
    if source.events:
        lake.executemany(f"insert into iceberg.taxi_cdc.trips_cdc values ({', '.join('?' * 11)})", source.events)


def played(lake, steps) -> Source:
    source = Source()
    for step in [*steps, ("commit", 0)]:
        source.step(*step)
    write(lake, source)
    return source


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_at_any_commit_the_versions_valid_then_are_the_rows(lake, steps):
    source = played(lake, steps)
    for at, rows in source.held.items():
        valid = "valid_from <= ? and (valid_to is null or valid_to > ?)"
        found = lake.execute(f"select id, value from ({VERSIONS}) where {valid}", [at, at]).fetchall()
        assert sorted(found) == sorted(rows.items()), at
    current = lake.execute(f"select id, value from ({VERSIONS}) where is_current").fetchall()
    assert sorted(current) == sorted(source.rows.items())


def test_versions_say_when_and_by_what(lake):
    played(lake, [("put", 1), ("commit", 0), ("put", 1), ("commit", 0), ("delete", 1)])
    found = lake.execute(f"select op, value, valid_from_lsn, valid_to_lsn, valid_to, is_current from ({VERSIONS})")
    seconds = [BEGAN + timedelta(seconds=number) for number in (1, 2)]
    assert sorted(found.fetchall()) == [("c", 1, 1, 3, seconds[0], False), ("u", 3, 3, 5, seconds[1], False)]


def test_a_fact_does_not_hide_a_column_of_the_source():
    text = Versions("taxi_cdc.orders_cdc", ("id",), ("id", "op", "valid_from")).sql("`")
    assert "`after`.`op` as `op`" in text and "op as `op_`" in text and "as `valid_from_`" in text


def test_a_life_goes_on_under_another_key_and_back(lake):
    played(
        lake,
        [
            ("put", 1),
            ("commit", 0),
            ("move", 1),
            ("commit", 0),
            ("put", 101),
            ("put", 1),
            ("commit", 0),
            ("delete", 101),
        ],
    )
    for key, ops in (("101", "cdcud"), ("1", "cdcucd")):
        life = row_life(lake, TRIPS, {"id": key})
        assert "".join(event.op for event in life) == ops
        gone, come = (
            next(event for event in life if event.key == k and event.op == op)
            for k, op in (({"id": 1}, "d"), ({"id": 101}, "c"))
        )
        assert (gone.moved_to, come.moved_from) == ({"id": 101}, {"id": 1})
        assert come.changed == {"id": (1, 101)}
        assert next(event for event in life if event.op == "u").changed == {"value": (1, 5)}


def test_a_life_tells_truncates_and_copies(lake):
    played(lake, [("put", 1), ("copy", 0), ("put", 2), ("truncate", 0), ("truncate", 0), ("put", 1)])
    life = row_life(lake, TRIPS, {"id": "1"})
    assert [(event.op, event.generation) for event in life] == [("c", 0), ("r", 1), ("t", 1), ("c", 1)]
    assert life[2].before == {"id": 1, "value": 1} and life[0].as_json()["lsn_text"] == "0/1"
    assert row_life(lake, TRIPS, {"id": "77"}) == []
    with pytest.raises(HistoryError, match="is no key"):
        row_life(lake, TRIPS, {"id": "one"})


def test_values_that_an_update_left_out_are_those_before_it(lake):
    source = played(lake, [("put", 1), ("commit", 0), ("put", 1)])
    lake.execute("update iceberg.taxi_cdc.trips_cdc set unchanged = ['value'], before = null where op = 'u'")
    _, update = row_life(lake, TRIPS, {"id": "1"})
    assert (update.changed, update.unknown) == ({}, ())
    lake.execute("delete from iceberg.taxi_cdc.trips_cdc where op = 'c'")
    (update,) = row_life(lake, TRIPS, {"id": "1"})
    assert update.unknown == ("value",) and source.rows


@pytest.mark.parametrize(
    ("names", "given_", "key"),
    [
        (("id",), ["42"], {"id": "42"}),
        (("id",), ["id=42"], {"id": "42"}),
        (("id",), ["a=b"], {"id": "a=b"}),
        (("city", "number"), ["number=1", "city=a=b"], {"city": "a=b", "number": "1"}),
    ],
)
def test_keys_as_people_write_them(names, given_, key):
    assert parse_key(names, given_) == key


@pytest.mark.parametrize("given_", [["42"], ["city=a"], ["city=a", "number=1", "street=b"]])
def test_a_key_with_other_columns_is_refused(given_):
    with pytest.raises(HistoryError, match="--key city=… --key number=…"):
        parse_key(("city", "number"), given_)
