"""From a statement in Postgres to the record in Kafka, over the registered connector of the shared stack."""

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from catalog.errors import ComponentError, LakehouseError, SourceError
from catalog.settings import Settings
from connectors.inspection import Record, partitions, read_records, topic_settings
from connectors.registration import register
from connectors.setup import ensure_source
from connectors.source import SQL, connected, published_tables, wanted_tables
from connectors.topics import ensure_topics
from connectors.worker import Worker

ARRIVAL_SECONDS = 120.0
"""An initial copy may still be under way; changes come after it."""
TRIP = 8_000_000_000_000


@pytest.fixture
def run(settings: Settings) -> Callable[..., None]:
    def execute(*statements: str) -> None:
        with connected(settings, "taxi") as connection:
            for statement in statements:
                connection.execute(statement.encode())

    return execute


@pytest.fixture
def arrived(settings: Settings) -> Callable[..., list[dict]]:
    """Records of a topic from an offset on, once there are so many that satisfy a condition."""

    def wait(topic: str, start: int, count: int, condition: Callable[[dict], bool]) -> list[dict]:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        found: list[dict] = []
        while time.monotonic() < deadline:
            records = [record.as_json() for record in since(settings, topic, start)]
            found = [record for record in records if condition(record)]
            if len(found) >= count:
                return found
            time.sleep(0.5)
        pytest.fail(f"{len(found)} of {count} records in {topic} after {ARRIVAL_SECONDS} s: {found}")

    return wait


def since(settings: Settings, topic: str, start: int) -> Iterator[Record]:
    span = partitions(settings, topic)[0]
    return (r for r in read_records(settings, topic, limit=max(1, span.end - start)) if r.offset >= start)


def end(settings: Settings, topic: str) -> int:
    return partitions(settings, topic)[0].end


def of_trip(*keys: int) -> Callable[[dict], bool]:
    return lambda record: record["key"] is not None and record["key"]["trip_id"] in keys


def test_a_trip_keeps_its_cents_its_long_note_and_its_document_through_every_change(settings, run, arrived) -> None:
    start = end(settings, "lakehouse.trips")
    long = "é" * 100_000
    run(
        "insert into trips (trip_id, pickup_at, pickup_location_id, fare_amount, tip_amount, tolls_amount,"
        f" total_amount, note, extra) values ({TRIP}, '2026-11-01 05:30:00.000001+00', 132, 12345678.90, 0.10, 0,"
        f" 12345679.00, '{long}', '{{\"id\": 12345678901234567890}}')",
        f"update trips set tip_amount = -0.05 where trip_id = {TRIP}",
        f"update trips set trip_id = {TRIP + 1} where trip_id = {TRIP}",
        f"delete from trips where trip_id = {TRIP + 1}",
    )
    records = arrived("lakehouse.trips", start, 7, of_trip(TRIP, TRIP + 1))
    assert [record["value"] and record["value"]["op"] for record in records] == ["c", "u", "d", None, "c", "d", None]
    insert, update, gone, tombstone, moved, _, _ = records
    assert insert["value"]["after"]["fare_amount"] == "12345678.90"
    assert insert["value"]["after"]["pickup_at"] == "2026-11-01T05:30:00.000001Z"
    assert insert["value"]["after"]["extra"] == '{"id": 12345678901234567890}'
    assert update["value"]["before"]["tip_amount"] == "0.10" and update["value"]["after"]["tip_amount"] == "-0.05"
    assert {
        image["note"] for image in (update["value"]["after"], gone["value"]["before"], moved["value"]["after"])
    } == {long}
    assert gone["headers"] == tombstone["headers"] == [["__debezium.newkey", f'{{"trip_id":{TRIP + 1}}}']]
    assert moved["headers"] == [["__debezium.oldkey", f'{{"trip_id":{TRIP}}}']]
    assert gone["value"]["source"]["lsn"] == moved["value"]["source"]["lsn"]


def test_a_truncate_stands_between_the_changes_before_and_after_it(settings, run, arrived) -> None:
    start = end(settings, "lakehouse.payment_types")
    run("insert into payment_types values (99, 'before the truncate')", "truncate payment_types")
    run((SQL / "lookups.sql").read_text())
    records = arrived("lakehouse.payment_types", start, 8, lambda record: record["value"] is not None)
    assert [record["value"]["op"] for record in records] == ["c", "t", *["c"] * 6]
    assert records[1]["key"] is None


def test_a_transaction_that_rolls_back_leaves_no_record(settings, run, arrived) -> None:
    start = end(settings, "lakehouse.vendors")
    run("begin", "insert into vendors values (77, 'never')", "rollback")
    run("insert into vendors values (78, 'committed')", "delete from vendors where vendor_id = 78")
    records = arrived("lakehouse.vendors", start, 3, lambda record: record["key"]["vendor_id"] in (77, 78))
    assert {record["key"]["vendor_id"] for record in records} == {78}


def test_a_barrier_row_reaches_its_topic(settings, run, arrived) -> None:
    start, nonce = end(settings, "lakehouse.heartbeat"), str(uuid4())
    run(
        f"insert into heartbeat (id, nonce) values (2, '{nonce}') on conflict (id) do update set nonce = excluded.nonce"
    )
    [record] = arrived("lakehouse.heartbeat", start, 1, lambda one: one["value"]["after"]["nonce"] == nonce)
    assert record["value"]["source"]["lsn"] > 0


def test_registering_again_changes_nothing_and_topics_are_whole(settings) -> None:
    assert register(settings) == "unchanged"
    assert ensure_topics(settings) == []
    assert {table for _, table in published_tables(settings)} >= set(wanted_tables(settings))
    assert len(partitions(settings, "lakehouse.trips")) == 1
    assert topic_settings(settings, "lakehouse.trips") == {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "max.message.bytes": str(33 << 20),
    }


def test_the_replication_role_reads_and_writes_only_what_it_must(settings) -> None:
    with connected(settings, "cdc") as connection:
        assert connection.execute("select count(*) from trips").fetchone() is not None
    for forbidden in (
        "delete from trips",
        "create table mine (id int)",
        "alter publication lakehouse drop table trips",
    ):
        with (
            pytest.raises(LakehouseError, match=r"permission denied|must be owner"),
            connected(settings, "cdc") as connection,
        ):
            connection.execute(forbidden)


def test_a_table_that_the_connector_may_not_read_is_named_with_the_grant(settings, run) -> None:
    run("revoke select on signal from cdc")
    try:
        with pytest.raises(SourceError, match=r"may not read public\.signal") as raised:
            register(settings)
        assert "select on public.signal to cdc" in raised.value.remedy
    finally:
        ensure_source(settings)
    assert register(settings) == "unchanged"


def test_preparing_the_source_waits_for_no_reader_and_no_writer(settings) -> None:
    with (
        connected(settings, "cdc") as reader,
        connected(settings, "taxi") as writer,
        reader.transaction(),
        writer.transaction(force_rollback=True),
    ):
        for table in ("trips", "vendors", "payment_types"):
            reader.execute(f"select * from {table} limit 1")
            writer.execute(f"delete from {table} where false")
        started = time.monotonic()
        ensure_source(settings)
        assert time.monotonic() - started < 10


def test_a_wrong_password_is_shown_as_what_connect_says(settings) -> None:
    worker = Worker(settings)
    wrong = dict(worker.configuration(settings.connector) or {}, **{"database.password": "wrong"})
    wrong.pop("name", None)
    with pytest.raises(ComponentError, match="password authentication failed"):
        worker.configure("wrong-password", wrong | {"slot.name": "wrong_password"})
    assert worker.configuration("wrong-password") is None


def test_a_worker_that_is_away_is_named_with_the_command_that_starts_it(settings) -> None:
    away = settings.model_copy(update={"connect_url": "http://127.0.0.1:1"})
    with pytest.raises(ComponentError, match=r"http://127\.0\.0\.1:1 does not answer") as raised:
        register(away)
    assert "scripts/lake up" in raised.value.remedy
