"""Events fold in order to one change per key; values left out come from the event that held them, or are asked for."""

import pytest
from streaming_model.envelopes import captured, columns, envelope, records, table

from catalog.source import SourceTable
from streaming.envelope import decode
from streaming.folding import fold
from streaming.keys import key_numbers
from streaming.values import UNCHANGED

THINGS = table(("id", "bigint"), ("n", "integer"), ("big", "text"), full=False)


def row(number, n=0, big="b"):
    return {"id": number, "n": n, "big": big}


def folded(*events):
    return fold(decode(records(*events), THINGS).events, ("id",))


def rows(change):
    return sorted(change.upserts.to_pylist(), key=lambda row: row["id"])


def asked(change):
    return {
        (m.column, int(place), int(key))
        for m in change.missing
        for place, key in zip(m.rows, m.keys.first, strict=True)
    }


def test_the_last_event_of_a_key_decides():
    change = folded(
        envelope("c", after=row(2, 1)),
        envelope("c", after=row(1, 1)),
        envelope("u", after=row(2, 2)),
        envelope("d", before=row(1)),
        envelope("u", after=row(2, 3)),
    )
    assert rows(change) == [row(2, 3)]
    assert change.touched.first.tolist() == change.keys["id"].to_pylist() == [1, 2]
    assert not change.truncate


def test_a_row_deleted_and_created_again_is_there():
    assert rows(folded(envelope("d", before=row(1)), envelope("c", after=row(1, 9)))) == [row(1, 9)]


def test_a_truncate_forgets_what_came_before():
    change = folded(
        envelope("c", after=row(1)),
        envelope("t"),
        envelope("c", after=row(2)),
        envelope("t"),
        envelope("c", after=row(3)),
    )
    assert change.truncate
    assert rows(change) == [row(3)]
    assert change.touched.first.tolist() == [3]


def test_a_truncate_alone_empties_the_table():
    change = folded(envelope("c", after=row(1)), envelope("t"))
    assert (change.truncate, len(change.touched), len(change.upserts)) == (True, 0, 0)


def test_no_events_change_nothing():
    change = folded()
    assert (change.truncate, len(change.touched), len(change.upserts)) == (False, 0, 0)


def test_a_composite_text_key_is_not_needed_to_be_in_order():
    source = table(("a", "text"), ("b", "text"), ("n", "integer"), key=("b", "a"))
    events = [
        envelope("c", after={"a": a, "b": b, "n": n}) for a, b, n in [("ab", "c", 1), ("a", "bc", 2), ("ab", "c", 3)]
    ]
    change = fold(decode(records(*events), source).events, ("b", "a"))
    assert sorted(row["n"] for row in change.upserts.to_pylist()) == [2, 3]


def test_a_value_left_out_comes_from_the_event_before():
    change = folded(
        envelope("c", after=row(1, 1, "kept")),
        envelope("u", after=row(1, 2, UNCHANGED)),
        envelope("u", after=row(1, 3, UNCHANGED)),
    )
    assert rows(change) == [row(1, 3, "kept")]
    assert change.missing == []


def test_a_value_left_out_is_asked_of_the_old_row():
    change = folded(envelope("c", after=row(5)), envelope("u", after=row(1, 2, UNCHANGED)))
    place = change.upserts["id"].to_pylist().index(1)
    assert asked(change) == {("big", place, 1)}


def test_a_null_is_not_a_value_left_out():
    change = folded(envelope("u", after=row(1, 2, UNCHANGED)), envelope("u", after=row(1, 3, None)))
    assert rows(change) == [row(1, 3, None)]
    assert change.missing == []


def moved(old, new, lsn):
    return envelope("d", before=row(old), lsn=lsn), None, envelope("c", after=row(new, 7, UNCHANGED), lsn=lsn)


def test_a_key_change_takes_the_value_of_the_old_key():
    change = folded(envelope("c", after=row(1, 1, "kept")), *moved(1, 2, 30), *moved(2, 3, 40))
    assert rows(change) == [row(3, 7, "kept")]
    assert change.touched.first.tolist() == [1, 2, 3]


def test_a_key_change_of_a_row_that_the_slice_does_not_hold_asks_for_the_old_key():
    assert asked(folded(*moved(1, 2, 30))) == {("big", 0, 1)}
    assert asked(folded(*moved(1, 2, 30), envelope("u", after=row(2, 8, UNCHANGED), lsn=40))) == {("big", 0, 1)}


def test_swapped_keys_ask_for_each_other_s_old_rows():
    change = folded(*moved(1, 9, 30), *moved(2, 1, 40), *moved(9, 2, 50))
    keys = change.upserts["id"].to_pylist()
    assert asked(change) == {("big", keys.index(1), 2), ("big", keys.index(2), 1)}
    assert change.touched.first.tolist() == [1, 2, 9]


def test_a_create_after_another_row_s_delete_is_no_key_change():
    change = folded(envelope("d", before=row(1), lsn=30), envelope("c", after=row(2, 7, UNCHANGED), lsn=31))
    assert asked(change) == {("big", 0, 2)}


def test_a_captured_key_change_with_a_value_left_out():
    source = SourceTable(
        "public", "toast_default", columns(("id", "integer"), ("big", "text"), ("v", "text")), ("id",), False
    )
    events = decode(captured("toast_default_identity"), source).events
    change = fold(events.take(range(4)), ("id",))
    assert change.upserts["big"].to_pylist() == [events.after["big"][0].as_py()]
    later = fold(events.take(range(1, 4)), ("id",))
    assert asked(later) == {("big", 0, 1)}


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_touched_keys_are_those_of_the_rows(order):
    events = [envelope("c", after=row(number, number)) for number in (3, 1, 2)]
    change = folded(*[events[place] for place in order])
    assert change.touched.first.tolist() == key_numbers(change.keys).first.tolist() == [1, 2, 3]
