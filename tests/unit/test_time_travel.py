"""Every table of a query is pinned where it stands, and nothing else of the query changes."""

from datetime import UTC, datetime

import pytest

from catalog.errors import HistoryError
from catalog.history import lake_name, lsn_number, lsn_text, parse_instant
from catalog.lsn import Fold
from catalog.time_travel import AsOf, pin_tables

SNAPSHOTS = {"taxi_cdc.trips": 1, "taxi_cdc.vendors": 2, "iceberg.taxi_cdc.trips": 1}


def pinned(query, engine):
    return pin_tables(query, engine, SNAPSHOTS.__getitem__)


@pytest.mark.parametrize(
    ("query", "spark", "duckdb"),
    [
        (
            "select * from taxi_cdc.trips",
            "select * from taxi_cdc.trips VERSION AS OF 1",
            "select * from taxi_cdc.trips AT (VERSION => 1)",
        ),
        (
            "SELECT t.fare  FROM iceberg.taxi_cdc.trips AS t -- all",
            "SELECT t.fare  FROM iceberg.taxi_cdc.trips VERSION AS OF 1 AS t -- all",
            "SELECT t.fare  FROM iceberg.taxi_cdc.trips AS t AT (VERSION => 1) -- all",
        ),
        (
            "with trips as (select * from taxi_cdc.trips) select 'taxi_cdc.trips' from trips join taxi_cdc.vendors v",
            "with trips as (select * from taxi_cdc.trips VERSION AS OF 1) select 'taxi_cdc.trips' from trips"
            " join taxi_cdc.vendors VERSION AS OF 2 v",
            "with trips as (select * from taxi_cdc.trips AT (VERSION => 1)) select 'taxi_cdc.trips' from trips"
            " join taxi_cdc.vendors v AT (VERSION => 2)",
        ),
        (
            "select (select max(x) from taxi_cdc.vendors) from taxi_cdc.trips where (select 1 from taxi_cdc.trips u)",
            "select (select max(x) from taxi_cdc.vendors VERSION AS OF 2) from taxi_cdc.trips VERSION AS OF 1"
            " where (select 1 from taxi_cdc.trips VERSION AS OF 1 u)",
            "select (select max(x) from taxi_cdc.vendors AT (VERSION => 2)) from taxi_cdc.trips AT (VERSION => 1)"
            " where (select 1 from taxi_cdc.trips u AT (VERSION => 1))",
        ),
    ],
)
def test_every_table_is_pinned(query, spark, duckdb):
    assert pinned(query, "spark") == spark
    assert pinned(query, "duckdb") == duckdb


def test_trino_says_it_before_the_alias_too():
    query = "select * from taxi_cdc.trips t join iceberg.taxi_cdc.trips as u (a, b) on true"
    assert pinned(query, "trino") == (
        "select * from taxi_cdc.trips FOR VERSION AS OF 1 t"
        " join iceberg.taxi_cdc.trips FOR VERSION AS OF 1 as u (a, b) on true"
    )


@pytest.mark.parametrize("engine", ["duckdb", "spark", "trino"])
def test_a_fold_stands_in_the_place_of_the_name(engine):
    fold, quote = Fold("taxi_cdc.trips_cdc", 0, ("id",), ("id",)), "`" if engine == "spark" else '"'
    query = "with a as (select 1) select trips.id, t.id from a, taxi_cdc.trips, iceberg.taxi_cdc.trips t"
    assert pin_tables(query, engine, lambda name: fold) == (
        f"with a as (select 1) select trips.id, t.id from a, ({fold.sql(quote)}) as {quote}trips{quote},"
        f" ({fold.sql(quote)}) t"
    )


def test_quoted_names_in_both_dialects():
    assert pinned('select * from "taxi_cdc"."trips" t', "duckdb").endswith('"trips" t AT (VERSION => 1)')
    assert pinned("select * from `taxi_cdc`.`trips` t", "spark").endswith("`trips` VERSION AS OF 1 t")


@pytest.mark.parametrize(
    ("query", "engine"),
    [
        ("select * from taxi_cdc.trips AT (VERSION => 5)", "duckdb"),
        ("select * from taxi_cdc.trips VERSION AS OF 5", "spark"),
        ("select * from iceberg.taxi_cdc.trips.snapshots", "spark"),
        ('select * from iceberg.taxi_cdc."trips$snapshots"', "trino"),
        ("select * from taxi_cdc.trips for version as of 5", "trino"),
        ("select * fro taxi_cdc.trips where (", "duckdb"),
    ],
)
def test_what_cannot_be_pinned_is_refused(query, engine):
    with pytest.raises(HistoryError):
        pin_tables(query, engine, lambda name: 1)


def test_times_are_utc_unless_they_say_otherwise():
    assert parse_instant("2026-01-31T12:00") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_instant("2026-01-31T12:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert parse_instant("-90m", now=datetime(2026, 1, 31, 12, tzinfo=UTC)) == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "time:", "snapshot:abc", "2026-01-31", "lsn:", "lsn:yesterday"])
def test_an_unknown_past_is_refused(text):
    with pytest.raises(HistoryError):
        AsOf.parse(text)


def test_names_and_lsns_as_people_write_them():
    names = ("trips", "public.trips", "taxi_cdc.trips", "iceberg.taxi_cdc.trips")
    assert {lake_name(name) for name in names} == {"taxi_cdc.trips"}
    assert lsn_text(lsn_number("16/B374D848")) == "16/B374D848"


@pytest.mark.parametrize("text", ["-99999999999d", "tomorrow", "2026-13-01"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(HistoryError, match="is no time"):
        parse_instant(text)
