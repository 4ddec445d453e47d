"""Records that a real connector wrote are read exactly; every other record is set aside with its reason."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from streaming_model.envelopes import captured, columns, envelope, records, table

from catalog.source import SourceTable
from streaming.envelope import UnknownColumnsError, decode

THINGS = table(("id", "bigint"), ("n", "integer"), ("note", "text"))
ROW = {"id": 1, "n": 2, "note": "x"}
TRIPS = SourceTable(
    "public",
    "trips",
    columns(
        ("trip_id", "bigint"),
        ("vendor_id", "integer"),
        ("pickup_at", "timestamp with time zone"),
        ("dropoff_at", "timestamp with time zone"),
        ("passenger_count", "integer"),
        ("trip_distance", "numeric(8,2)"),
        ("pickup_location_id", "integer"),
        ("dropoff_location_id", "integer"),
        ("payment_type", "integer"),
        ("fare_amount", "numeric(10,2)"),
        ("tip_amount", "numeric(10,2)"),
        ("tolls_amount", "numeric(10,2)"),
        ("total_amount", "numeric(10,2)"),
        ("store_and_fwd_flag", "text"),
        ("note", "text"),
        ("extra", "jsonb"),
        ("source_file", "text"),
        ("source_row", "integer"),
        ("created_at", "timestamp with time zone"),
        ("updated_at", "timestamp with time zone"),
    ),
    ("trip_id",),
    True,
)
PAYMENTS = SourceTable(
    "public",
    "payment_types",
    columns(("payment_type", "integer"), ("name", "text"), ("updated_at", "timestamp with time zone")),
    ("payment_type",),
    True,
)


def only_reason(record, source=THINGS, key=b"{}"):
    """The reject of a record between two good ones, which must come through."""
    good = envelope("c", after=ROW)
    decoded = decode(records(good, record, good, keys=[b"{}", key, b"{}"]), source)
    assert decoded.events.offset.to_pylist() == [0, 2]
    (reject,) = decoded.rejects
    assert reject.row == 1
    return reject


def test_an_insert_as_it_was_captured():
    events = decode(captured("insert"), TRIPS).events
    row = events.after.to_pylist()[0]
    assert events.op == ["c"]
    assert events.before.to_pylist()[0] == dict.fromkeys(row)
    assert (events.lsn[0].as_py(), events.previous_commit_lsn[0].as_py()) == (141456848, 141456848)
    assert events.transaction_id[0].as_py() == 5527
    assert events.committed_at[0].as_py() == datetime(2026, 11, 20, 18, 16, 48, 468793, UTC)
    assert row["pickup_at"] == datetime(2026, 11, 20, 18, 16, 48, 468086, UTC)
    assert row["fare_amount"] == Decimal("12.50")
    assert row["extra"] == '{"x": 1.50, "big": 12345678901234567890, "rate_code": 1}'
    assert row["source_file"] is None


def test_a_delete_has_its_old_row_and_its_tombstone_is_passed_over():
    decoded = decode(captured("delete"), TRIPS)
    assert (len(decoded.events), decoded.tombstones, decoded.rejects) == (1, 1, [])
    assert decoded.events.before["note"].to_pylist() == ["moved and changed"]
    assert decoded.events.keys(("trip_id",)).to_pylist() == [{"trip_id": 9000003}]


def test_a_key_change_is_a_delete_of_the_old_key_and_a_create_of_the_new():
    events = decode(captured("key_change"), TRIPS).events
    assert events.op == ["d", "c"]
    assert events.keys(("trip_id",))["trip_id"].to_pylist() == [9000001, 9000002]
    assert events.lsn[0] == events.lsn[1]


def test_a_truncate_has_neither_key_nor_rows():
    decoded = decode(captured("truncate"), PAYMENTS)
    assert decoded.rejects == []
    assert decoded.events.op == ["c", "t", "c"]
    assert decoded.events.after["payment_type"].to_pylist() == [7, None, 1]


def test_an_initial_copy_knows_no_previous_commit():
    events = decode(captured("initial_copy_payment_types"), PAYMENTS).events
    assert events.op == ["r"] * 6
    assert events.copy_marker == ["first_in_data_collection", *["true"] * 4, "last_in_data_collection"]
    assert events.previous_commit_lsn.null_count == 6
    assert set(events.lsn.to_pylist()) == {88138992}


def test_an_incremental_copy_has_neither_lsn_nor_transaction():
    kinds = columns(
        ("vendor_id", "integer"), ("name", "text"), ("active", "boolean"), ("updated_at", "timestamp with time zone")
    )
    events = decode(captured("incremental_copy"), SourceTable("public", "vendors", kinds, ("vendor_id",), True)).events
    assert events.lsn.null_count == events.transaction_id.null_count == len(events) == 5
    assert events.after["active"].to_pylist() == [True, True, True, False, False]


def test_times_that_no_iceberg_type_holds_are_set_aside():
    decoded = decode(captured("infinity_and_bc"), TRIPS)
    assert len(decoded.events) == 0
    assert [reject.row for reject in decoded.rejects] == [0, 1, 2]
    assert "'-0043-03-15T12:00:00.000000Z' does not fit timestamp with time zone" in decoded.rejects[0].reason
    assert "'infinity'" in decoded.rejects[1].reason
    assert all(reject.key_readable for reject in decoded.rejects)


def test_a_value_left_out_is_marked_and_is_not_the_text_that_marks_it():
    source = SourceTable(
        "public", "toast_default", columns(("id", "integer"), ("big", "text"), ("v", "text")), ("id",), False
    )
    events = decode(captured("toast_default_identity"), source).events
    assert events.op == ["c", "u", "d", "c", "u", "d"]
    assert events.placeholders["big"].tolist() == [False, True, False, True, False, False]
    assert events.after["big"].to_pylist()[1] is None


def test_old_rows_that_debezium_invents_are_null_without_full_identity():
    source = table(("id", "bigint"), ("n", "integer"), ("note", "text"), full=False)
    events = decode(records(envelope("d", before={"id": 1, "n": 0, "note": ""})), source).events
    assert events.before.to_pylist() == [{"id": 1, "n": None, "note": None}]


def test_a_table_of_one_column():
    events = decode(records(envelope("c", after={"id": 5})), table(("id", "bigint"))).events
    assert events.after.to_pylist() == [{"id": 5}]


def test_unknown_columns_ask_for_the_schema_unless_they_are_to_be_ignored():
    wider = records(envelope("c", after={**ROW, "new": 1}))
    with pytest.raises(UnknownColumnsError) as raised:
        decode(wider, THINGS)
    assert raised.value.columns == {"new"}
    assert decode(wider, THINGS, ignored=frozenset({"new"})).events.after.to_pylist() == [ROW]


def test_a_generated_column_is_in_copies_only():
    copied = envelope("r", after={**ROW, "twice": 4}, snapshot="incremental")
    decoded = decode(records(copied, envelope("c", after=ROW)), THINGS, ignored=frozenset({"twice"}))
    assert decoded.events.after.to_pylist() == [ROW, ROW]


def test_a_column_that_an_older_event_lacks_is_null():
    assert decode(records(envelope("c", after={"id": 1, "n": 2})), THINGS).events.after["note"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"op": "c",', "malformed JSON"),
        (b"", "malformed JSON"),
        (b"[1, 2]", "not a Debezium envelope"),
        (b'"text"', "not a Debezium envelope"),
        ({"ts_ms": 1795198414624}, "not a Debezium envelope: 'op' is missing"),
        ({"op": "c", "source": None}, "not a Debezium envelope"),
        (envelope("x", after=ROW), "unknown operation 'x'"),
        (envelope([], after=ROW), r"unknown operation \[\]"),
        (envelope("c", after=ROW, table="others"), "a record of table public.others in the topic of public.things"),
        (envelope("c", after=ROW, schema="other"), "a record of table other.things"),
        (envelope("c"), "operation c without its new row"),
        (envelope("d", after=ROW), "operation d without its old row"),
        (envelope("c", after=[1]), "not an object"),
        (envelope("c", after="text"), "not an object"),
        (envelope("c", after=5), "not an object"),
        (envelope("c", after=ROW, lsn="x"), "not a Debezium envelope: lsn"),
        (envelope("c", after=ROW, ts_us=None), "ts_us is missing"),
        (envelope("c", after=ROW, sequence=5), "not a Debezium envelope: lsn"),
        (envelope("c", after=ROW, sequence="x"), "not a Debezium envelope: lsn"),
        (envelope("c", after=ROW, sequence='{"a": 1}'), "not a Debezium envelope: lsn"),
        (envelope("c", after=ROW, snapshot=None), "source.snapshot is None"),
        (envelope("c", after=ROW, snapshot=False), "source.snapshot is False"),
        (envelope("u", after=ROW, snapshot="last"), "operation u in an initial copy"),
        (envelope("c", after={**ROW, "n": 1 << 31}), "column n: 2147483648 does not fit integer"),
        (envelope("u", before={**ROW, "n": "x"}, after=ROW), "column n: 'x' does not fit integer"),
    ],
)
def test_what_cannot_be_read_is_set_aside_and_the_rest_goes_on(record, reason):
    reject = only_reason(record)
    assert reject.key_readable
    assert re.search(reason, reject.reason), reject.reason


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (envelope("c", after=ROW), None),
        (b"{", None),
        (envelope("c", after={**ROW, "id": None}), b"{}"),
        (envelope("d", before={"n": 1}), b"{}"),
        (envelope("c", after={**ROW, "id": 1 << 63}), b"{}"),
    ],
)
def test_a_reject_whose_row_cannot_be_named_says_so(record, key):
    assert not only_reason(record, key=key).key_readable


def test_two_bad_values_of_one_record_reject_it_once():
    bad = envelope("c", after={"id": 1, "n": 1 << 40, "note": 5})
    assert len(decode(records(bad, bad), THINGS).rejects) == 2


def test_no_record_at_all():
    assert len(decode(records(), THINGS).events) == 0
