"""Records that cannot be read: each is set aside with its bytes, its place and a reason, and the flow goes on."""

import json

import pytest

from catalog.verification import verify


@pytest.fixture(scope="module")
def poisoned(stack, joined) -> str:
    stack.execute(f"insert into {joined['poisoned']} values (1, 10, now()), (2, 20, now())")
    stack.verified(joined["poisoned"])
    return joined["poisoned"]


def bad_records(table: str, event) -> dict[str, tuple[bytes | None, bytes, str]]:
    """By kind: key, value, and what the reason must say."""
    row = {"id": 7, "amount": 1, "at": None}
    good = event(table, "c", None, row)
    unfitting = event(table, "c", None, row | {"amount": 3_000_000_000})
    return {
        "malformed JSON": (b'{"id":7}', b'{"op":"c",', "malformed JSON"),
        "no envelope": (b'{"id":7}', b'{"hello":1}', "not a Debezium envelope"),
        "not an object": (b'{"id":7}', b"[1]", "not a Debezium envelope"),
        "unknown operation": (b'{"id":7}', good.replace(b'"op": "c"', b'"op": "x"'), "unknown operation 'x'"),
        "missing key": (None, good, "missing key"),
        "key column is null": (b'{"id":null}', event(table, "c", None, row | {"id": None}), "missing key column"),
        "wrong table": (b'{"id":7}', event("public.vendors", "c", None, {"vendor_id": 7}), "table public.vendors in"),
        "a number too large": (b'{"id":7}', unfitting, "amount"),
        "text for a number": (b'{"id":7}', event(table, "c", None, row | {"amount": "many"}), "amount"),
        "no time at all": (b'{"id":7}', event(table, "c", None, row | {"at": "noon"}), "at"),
        "no new row": (b'{"id":7}', event(table, "u", row, None), "without its new row"),
        "binary rubbish": (b"\xff\xfe", b"\x00\xff\xfe", "malformed JSON"),
    }  # fmt: skip


def test_each_kind_is_set_aside_and_the_flow_goes_on(stack, joined, poisoned, produce, event):
    topic, mirror = joined.topic("poisoned"), joined.mirror("poisoned")
    expected = {}
    for key, value, reason in bad_records(poisoned, event).values():
        expected[produce(topic, key, value)] = (key, value, reason)
    stack.execute(f"insert into {poisoned} values (3, 30, now())")
    stack.until(lambda: stack.lake_rows(f"select 1 from taxi_cdc.{mirror} where id = 3"), "the row behind them arrives")
    found = stack.lake_rows(
        f"select topic_offset, key, value, reason from taxi_cdc.quarantine where topic = '{topic}' order by 1"
    )
    assert {offset: (key, value) for offset, key, value, _ in found} == {o: e[:2] for o, e in expected.items()}
    assert [offset for offset, *_ in found] == sorted(expected), "each once"
    for offset, _, _, reason in found:
        assert expected[offset][2] in reason
    assert stack.lake_rows(f"select id from taxi_cdc.{mirror} order by id") == [(1,), (2,), (3,)]
    assert stack.table(poisoned)["state"] == "running"


def test_status_and_list_show_them(stack, joined, poisoned):
    stack.until(lambda: stack.table(poisoned)["quarantined"] == 12, "the status counts them")
    status = json.loads(stack.lake("status", "--json").stdout)
    assert status["stream"]["tables"][poisoned]["quarantined"] == 12
    listed = stack.lake("quarantine", "list", poisoned, "--json")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    records = json.loads(listed.stdout)
    assert len(records) == 12
    assert {record["topic"] for record in records} == {joined.topic("poisoned")}
    assert stack.lake("quarantine", "list", poisoned).returncode == 0, "bytes that are no text are shown too"


def test_an_unreadable_key_leaves_the_table_unverified(stack, poisoned):
    """The record may have changed any row, so equal rows prove nothing."""
    (report,) = verify(stack.settings, [poisoned]).tables
    assert not report.equal
    assert "2 quarantined records have no readable key" in report.unverified


def test_a_record_that_fits_now_is_replayed_unless_a_later_event_decided(stack, joined, poisoned, produce, event):
    mirror = joined.mirror("poisoned")
    produce(
        joined.topic("poisoned"),
        b'{"id":8}',
        event(poisoned, "c", None, {"id": 8, "amount": 3_000_000_000, "at": None}),
    )
    stack.execute(f"insert into {poisoned} values (8, 80, null)")
    stack.until(lambda: stack.lake_rows(f"select 1 from taxi_cdc.{mirror} where id = 8"), "row 8 arrives")
    stack.execute(f"alter table {poisoned} alter column amount type bigint")
    done = stack.lake("quarantine", "replay", poisoned)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 applied, 1 superseded" in done.stdout
    assert stack.lake_rows(f"select id, amount from taxi_cdc.{mirror} where id > 3 order by id") == [
        (7, 3_000_000_000),
        (8, 80),
    ]
    assert "0 applied, 0 superseded" in stack.lake("quarantine", "replay", poisoned).stdout
    # Postgres has no row 7: its insert and its delete bring both sides together again.
    stack.execute(f"insert into {poisoned} values (7, 1, null)", f"delete from {poisoned} where id = 7")
    stack.until(lambda: not stack.lake_rows(f"select 1 from taxi_cdc.{mirror} where id = 7"), "row 7 is deleted")


def test_a_resync_decides_over_what_was_set_aside_before_it(stack, joined, poisoned, produce, event):
    mirror, large = joined.mirror("poisoned"), "9" * 20
    row = {"id": 9, "amount": large, "at": None}
    offset = produce(joined.topic("poisoned"), b'{"id":9}', event(poisoned, "c", None, row))
    query = f"select 1 from taxi_cdc.quarantine where topic = '{joined.topic('poisoned')}' and topic_offset = {offset}"
    stack.until(lambda: stack.lake_rows(query), "it is set aside")
    stack.execute(f"alter table {poisoned} alter column amount type numeric(30, 0)")
    done = stack.lake("resync", poisoned)
    assert done.returncode == 0, done.stdout + done.stderr
    done = stack.lake("quarantine", "replay", poisoned)
    assert "0 applied, 1 superseded" in done.stdout, done.stdout + done.stderr
    assert not stack.lake_rows(f"select 1 from taxi_cdc.{mirror} where id = 9")
