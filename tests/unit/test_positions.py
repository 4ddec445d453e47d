"""A position moves with commits only, names gaps, survives compaction and expiry, and is lost by any other change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.positions import (
    Copy,
    GapError,
    OffsetRange,
    PartitionPosition,
    Position,
    PositionLostError,
    SnapshotEntry,
    position_of,
    saved_position,
)
from catalog.tables.cdc import POSITION_PROPERTY

AT_10 = Position("topic-1", {0: PartitionPosition(10, 100, 110)}, generation=2)
AT_20 = Position("topic-1", {0: PartitionPosition(20, 200, 210)}, generation=2)


def snapshot(number, parent, operation="append", position=None):
    return SnapshotEntry(number, parent, operation, {POSITION_PROPERTY: position.to_json()} if position else {})


def properties(position, number):
    return {POSITION_PROPERTY: saved_position(position, number)}


OFFSETS = st.integers(0, 2**62)
LSNS = st.none() | OFFSETS
POSITIONS = st.builds(
    Position,
    st.text(),
    st.dictionaries(st.integers(0, 9), st.builds(PartitionPosition, OFFSETS, LSNS, LSNS)),
    st.integers(0, 99),
    st.none() | st.builds(Copy, LSNS, LSNS, OFFSETS, LSNS),
)


@given(POSITIONS)
def test_written_and_read_it_is_the_same(position):
    assert Position.from_json(position.to_json()) == position


def test_a_range_above_the_position_is_a_gap():
    with pytest.raises(GapError, match="starts at 11, the table is at 10"):
        OffsetRange(0, 11, 30).unapplied(AT_10.next_offset(0))


@pytest.mark.parametrize(
    ("start", "end", "lacking"), [(10, 30, (10, 30)), (4, 11, (10, 11)), (4, 10, None), (0, 3, None), (10, 10, None)]
)
def test_a_replayed_range_brings_only_what_lacks(start, end, lacking):
    found = OffsetRange(0, start, end).unapplied(AT_10.next_offset(0))
    assert (found and (found.start, found.end)) == lacking


def test_a_partition_never_read_starts_at_its_first_record():
    assert AT_10.next_offset(1) == 0
    assert OffsetRange(1, 0, 5).unapplied(AT_10.next_offset(1)) == OffsetRange(1, 0, 5)
    with pytest.raises(GapError):
        OffsetRange(1, 1, 5).unapplied(AT_10.next_offset(1))


def test_moving_keeps_lsns_that_an_end_does_not_carry():
    moved = AT_10.moved({0: PartitionPosition(15)}, generation=3)
    assert moved == Position("topic-1", {0: PartitionPosition(15, 100, 110)}, 3)
    assert AT_10.moved({0: PartitionPosition(15, 120, 130)}).lsn == 130
    assert AT_10.moved({1: PartitionPosition(5)}).partitions == {
        0: PartitionPosition(10, 100, 110),
        1: PartitionPosition(5),
    }
    assert AT_10.next_offset(0) == 10


def test_a_table_never_written_has_none():
    assert position_of([], None, {}) is None


def test_the_head_s_own_summary_is_believed_before_the_property():
    entries = [snapshot(1, None, position=AT_10), snapshot(2, 1, position=AT_20)]
    assert position_of(entries, 2, properties(AT_10, 1)) == AT_20


def test_compactions_keep_it():
    entries = [snapshot(1, None, position=AT_10), snapshot(2, 1, "replace"), snapshot(3, 2, "replace")]
    assert position_of(entries, 3, {}) == AT_10


@pytest.mark.parametrize("operation", ["append", "overwrite", "delete", None])
def test_any_other_change_loses_it(operation):
    entries = [snapshot(1, None, position=AT_10), snapshot(2, 1, operation), snapshot(3, 2, "replace")]
    with pytest.raises(PositionLostError, match="snapshot 2"):
        position_of(entries, 3, properties(AT_10, 1))


def test_expiry_of_its_snapshot_leaves_it_to_the_property():
    assert position_of([snapshot(3, 2, "replace")], 3, properties(AT_10, 2)) == AT_10
    with pytest.raises(PositionLostError, match="expired"):
        position_of([snapshot(3, 2, "replace")], 3, properties(AT_10, 1))


def test_a_rollback_goes_back_with_the_rows():
    entries = [snapshot(1, None, position=AT_10), snapshot(2, 1, position=AT_20)]
    assert position_of(entries, 1, properties(AT_20, 2)) == AT_10


def test_a_rollback_to_rows_without_a_position_is_not_given_the_later_one():
    entries = [snapshot(1, None, "append"), snapshot(2, 1, position=AT_20)]
    with pytest.raises(PositionLostError):
        position_of(entries, 1, properties(AT_20, 2))
