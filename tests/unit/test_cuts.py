"""Cutting an epoch into slices keeps every offset once, in order, and each slice within its bytes."""

from hypothesis import given
from hypothesis import strategies as st

from catalog.positions import OffsetRange
from streaming.epoch import cut

BLOCK = 256
RANGES = st.dictionaries(
    st.sampled_from(["lakehouse.trips", "lakehouse.vendors"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 2000)), min_size=1, max_size=3).map(
        lambda parts: [OffsetRange(place, start, start + length) for place, (start, length) in enumerate(parts)]
    ),
)


def sizes_of(ranges, size):
    blocks = {}
    for topic, parts in ranges.items():
        for part in parts:
            for offset in range(part.start, part.end):
                key = (topic, part.partition, offset // BLOCK)
                blocks[key] = blocks.get(key, 0) + size(offset)
    return blocks


def places(ranges):
    return [
        (topic, part.partition, offset)
        for topic, parts in ranges.items()
        for part in parts
        for offset in range(part.start, part.end)
    ]


@given(RANGES, st.integers(1, 100), st.integers(1, 200_000))
def test_every_offset_comes_once_and_in_order(ranges, size, limit):
    slices = cut(sizes_of(ranges, lambda offset: size * (1 + offset % 3)), ranges, limit)
    assert [place for part in slices for place in places(part)] == places(ranges)
    for part in slices:
        for parts in part.values():
            assert len({offsets.partition for offsets in parts}) == len(parts)


@given(RANGES, st.integers(1, 100), st.integers(1, 200_000))
def test_a_slice_holds_no_more_than_the_limit_or_one_block(ranges, size, limit):
    sizes = sizes_of(ranges, lambda offset: size * (1 + offset % 3))
    for part in cut(sizes, ranges, limit):
        blocks = {(topic, partition, offset // BLOCK) for topic, partition, offset in places(part)}
        assert len(blocks) == 1 or sum(sizes[block] for block in blocks) <= limit


def test_what_fits_together_is_one_slice():
    ranges = {"a": [OffsetRange(0, 5, 900)], "b": [OffsetRange(0, 0, 10), OffsetRange(1, 7, 9)]}
    assert cut(sizes_of(ranges, lambda _: 1), ranges, 10_000) == [ranges]


def test_offsets_without_records_take_no_room_but_are_passed():
    assert cut({}, {"a": [OffsetRange(0, 0, 1000)]}, 10) == [{"a": [OffsetRange(0, 0, 1000)]}]


def test_no_ranges_are_no_slices():
    assert cut({}, {}, 10) == []
