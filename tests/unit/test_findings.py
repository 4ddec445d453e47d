"""What the doctor finds in rows of Postgres' catalogs, and the SQL that mends it."""

from dataclasses import replace

import pytest

from catalog.source import SourceColumn
from connectors.findings import findings
from connectors.suitability import clashes, copy_seconds
from connectors.survey import Publication, Relation, Server, Survey, Writer, matching

SERVER = Server("15.9", 150009, "logical", False, "UTF8", 10, 1, "reserved", 10, 1, "cdc", True, "shop", True)
PUBLICATION = Publication("owner", True, True, 3)
COLUMNS = (SourceColumn("id", 1, "integer", False, True), SourceColumn("note", 2, "text", False, False))
ITEMS = Relation(
    "shop", "items", "r", False, True, True, "owner", False, True, False,
    rows=1_000_000, bytes=80 << 20, identities=["f"], without_full_identity=[], is_toastable=True, generated=[],
    unique_columns=None, unique_index=None, columns=COLUMNS, key=("id",),
)  # fmt: skip


def found(*relations, server=SERVER, publication=PUBLICATION, writers=(), wanted=True):
    survey = Survey(server, publication, relations, writers)
    return [f for f in findings(survey, relations, "lakehouse", wanted=wanted) if f.state != "ok"]


def test_a_source_that_is_well_has_no_finding():
    assert found(ITEMS) == []


@pytest.mark.parametrize(
    ("change", "name", "mend"),
    [
        ({"version_number": 12_00_09}, "version", "13"),
        ({"wal_level": "replica"}, "wal_level", "ALTER SYSTEM SET wal_level = 'logical';"),
        ({"encoding": "SQL_ASCII"}, "encoding", "UTF8"),
        ({"is_standby": True}, "server", "primary"),
        ({"own_slot": None, "slots_used": 10}, "max_replication_slots", "= 14;"),
        ({"senders_used": 10}, "max_wal_senders", "= 14;"),
        ({"own_slot": "lost"}, "slot", "lake connect reset"),
        ({"may_replicate": False}, "role", 'ALTER ROLE "cdc" REPLICATION;'),
        ({"has_service_tables": False}, "service tables", "CREATE TABLE public.heartbeat"),
    ],
)
def test_what_the_server_lacks(change, name, mend):
    (only,) = found(server=replace(SERVER, **change))
    assert (only.name, only.state) == (name, "fail")
    assert mend in only.remedy


def test_a_full_server_that_has_our_slot_is_well():
    assert found(server=replace(SERVER, slots_used=10)) == []


@pytest.mark.parametrize(
    ("publication", "mend"),
    [
        (None, 'CREATE PUBLICATION "lakehouse" FOR TABLE public.heartbeat, public.signal WITH (publish ='),
        (replace(PUBLICATION, all_operations=False), 'ALTER PUBLICATION "lakehouse" SET (publish ='),
        (replace(PUBLICATION, via_root=False), "publish_via_partition_root = true"),
    ],
)
def test_the_publication(publication, mend):
    (only,) = found(replace(ITEMS, kind="p"), publication=publication)
    assert only.state == "fail" and mend in only.remedy


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        (
            {"key": (), "unique_index": "items_code"},
            'ALTER TABLE "shop"."items" ADD PRIMARY KEY USING INDEX "items_code";',
        ),
        ({"key": (), "unique_columns": ["a", "B"]}, 'ALTER TABLE "shop"."items" ADD PRIMARY KEY ("a", "B");'),
        ({"key": ()}, "ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY"),
        ({"is_unlogged": True}, 'ALTER TABLE "shop"."items" SET LOGGED;'),
        ({"has_heirs": True}, "partitioned"),
        ({"hides_rows": True}, 'ALTER ROLE "cdc" BYPASSRLS;'),
        ({"name": 'Odd "name"'}, 'ALTER TABLE "shop"."Odd ""name""" RENAME TO'),
        ({"columns": (*COLUMNS, SourceColumn("Note", 3, "text", False, False))}, 'RENAME COLUMN "Note" TO'),
        ({"columns": (*COLUMNS, SourceColumn("at", 3, "point", False, False))}, 'ALTER COLUMN "at" TYPE text'),
        ({"generated": ["id"]}, "without id"),
        ({"identities": ["n"], "without_full_identity": [["shop", "items"]]}, '"shop"."items" REPLICA IDENTITY FULL;'),
        ({"is_readable": False}, 'GRANT USAGE ON SCHEMA "shop" TO "cdc"; GRANT SELECT ON "shop"."items" TO "cdc";'),
    ],
)
def test_what_keeps_a_published_table_out(change, mend):
    blocking = [each for each in found(replace(ITEMS, **change)) if each.state == "fail"]
    assert len(blocking) == 1
    assert mend in blocking[0].remedy


def test_an_unpublished_table_that_nobody_asked_for_only_warns():
    keyless = replace(ITEMS, is_published=False, key=())
    assert [each.state for each in found(keyless, wanted=False)] == ["warn"]
    assert [each.state for each in found(keyless, wanted=True)] == ["fail"]


def test_large_values_without_full_identity_are_a_warning_for_each_partition():
    parts = [["shop", "items_1"], ["shop", "items_2"]]
    (only,) = found(replace(ITEMS, kind="p", identities=["d"], without_full_identity=parts))
    assert only.state == "warn"
    assert only.remedy.count("REPLICA IDENTITY FULL;") == 2
    assert found(replace(ITEMS, identities=["d"], without_full_identity=parts[:1], is_toastable=False)) == []


def test_views_are_told_and_block_nothing():
    assert found(replace(ITEMS, kind="v", key=(), is_published=False)) == []


def test_two_tables_whose_mirrors_would_have_one_name():
    other = replace(ITEMS, schema="public", name="shop__items")
    changelog = replace(ITEMS, name="items_cdc")
    quarantine = replace(ITEMS, schema="public", name="quarantine")
    assert clashes([ITEMS, other, changelog, quarantine]) == {
        "public.shop__items": "taxi_cdc.shop__items",
        "shop.items_cdc": "taxi_cdc.shop__items_cdc",
        "public.quarantine": "taxi_cdc.quarantine",
    }
    assert set(clashes([replace(ITEMS, is_published=False), other])) == {"shop.items"}, "the published one was first"


def test_sessions_that_would_keep_a_table_from_joining():
    brief, old, hidden = (Writer(pid, "app", "idle in transaction", age, ["shop.items"]) for pid, age in
                          ((7, 0.1), (8, 90.0), (9, None)))  # fmt: skip
    told = found(ITEMS, writers=(brief, old, hidden))
    assert [each.name for each in told] == ["session 8 app", "session 9 app"]
    assert told[0].remedy.startswith("SELECT pg_terminate_backend(8);")


def test_patterns_name_tables_and_never_the_service_tables():
    relations = [replace(ITEMS, schema=s, name=n) for s, n in
                 (("public", "heartbeat"), ("public", "trips"), ("shop", "items"), ("shop", "visits"))]  # fmt: skip
    assert [r.qualified for r in matching(relations, ["shop.*"])] == ["shop.items", "shop.visits"]
    assert [r.qualified for r in matching(relations, ["trips"])] == ["public.trips"]
    assert [r.qualified for r in matching(relations, ["*"])] == ["public.trips"]


def test_the_copy_takes_as_long_as_its_rows_or_its_bytes():
    assert copy_seconds(replace(ITEMS, bytes=1)) > copy_seconds(replace(ITEMS, rows=10, bytes=1)) > 0
    assert copy_seconds(replace(ITEMS, rows=None, bytes=80 << 30)) > 100
