"""An initial copy is told from the stream by its markers, a restarted one by its LSN and transaction."""

import pytest
from streaming_model.envelopes import captured, columns, envelope, records, table

from catalog.positions import Copy
from catalog.source import SourceTable
from streaming.envelope import decode
from streaming.segments import segments

THINGS = table(("id", "bigint"))
FIRST, LAST = "first_in_data_collection", "last_in_data_collection"


def events(*described):
    """Events from (marker, LSN)."""
    written = [
        envelope("c" if marker == "false" else "r", after={"id": number}, snapshot=marker, lsn=lsn)
        for number, (marker, lsn) in enumerate(described)
    ]
    return decode(records(*written), THINGS).events


def cut(found, under_way=None):
    return [
        (len(s.events), s.copy and s.copy.lsn, s.copy and s.copy.rows, s.begins, s.ends)
        for s in segments(found, under_way)
    ]


def test_the_stream_is_one_segment():
    assert cut(events(("false", 1), ("incremental", None), ("false", 2))) == [(3, None, None, False, False)]


def test_nothing_is_no_segment():
    assert cut(events()) == []


@pytest.mark.parametrize("marker", ["last", LAST])
def test_the_only_row_of_a_table_is_a_whole_copy(marker):
    assert cut(events((marker, 5), ("false", 6))) == [(1, 5, 1, True, True), (1, None, None, False, False)]


def test_a_whole_copy_between_streams():
    found = events(("false", 1), (FIRST, 5), ("true", 5), (LAST, 5), ("false", 9))
    assert cut(found) == [(1, None, None, False, False), (3, 5, 3, True, True), (1, None, None, False, False)]


def test_a_copy_goes_on_in_the_next_slice():
    head = events((FIRST, 5), ("true", 5))
    assert cut(head) == [(2, 5, 2, True, False)]
    assert cut(events(("true", 5), ("last", 5)), Copy(5, 7, 2)) == [(2, 5, 4, False, True)]


@pytest.mark.parametrize("second", [("first", 5), (FIRST, 8), ("true", 8), ("last", 8)])
def test_a_restarted_copy_begins_again(second):
    found = cut(events((FIRST, 5), ("true", 5), second))
    assert found[0] == (2, 5, 2, True, False)
    assert found[1][1:4] == (second[1], 1, True)


def test_a_copy_of_another_transaction_is_another_copy():
    assert cut(events(("true", 5)), Copy(5, 8, 2)) == [(1, 5, 1, True, False)]


def test_a_copy_under_way_is_over_when_the_stream_begins():
    assert cut(events(("false", 9), ("true", 5)), Copy(5, 7, 2))[1] == (1, 5, 1, True, False)


def test_the_captured_copies():
    vendors = columns(
        ("vendor_id", "integer"), ("name", "text"), ("active", "boolean"), ("updated_at", "timestamp with time zone")
    )
    source = SourceTable("public", "vendors", vendors, ("vendor_id",), True)
    assert cut(decode(captured("initial_copy_last_of_all"), source).events) == [(3, 88138992, 3, True, True)]
    assert cut(decode(captured("incremental_copy"), source).events) == [(5, None, None, False, False)]
    one = SourceTable("public", "one_row", columns(("id", "integer"), ("v", "text")), ("id",), True)
    assert cut(decode(captured("initial_copy_one_row"), one).events) == [(1, 88138992, 1, True, True)]
