"""Keys as numbers tell keys apart and join equal ones, whatever the type; a file's rows are found by them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.files import KeyCache, MirrorFile, WantedRange, mirror_file
from streaming.iceberg import LiveFile
from streaming.keys import FileKeys, KeyNumbers, WantedKeys, key_numbers


def numbers(*columns, types=None):
    kinds = types or [None] * len(columns)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    return key_numbers(pa.table(arrays, names=[f"c{place}" for place in range(len(arrays))]))


def found(keys: KeyNumbers, wanted: KeyNumbers):
    rows, places = FileKeys.of(keys).find(wanted)
    return sorted(zip(rows.tolist(), places.tolist(), strict=True))


def pairs(keys: KeyNumbers):
    return list(zip(keys.first.tolist(), keys.second.tolist(), strict=True))


def test_parts_of_a_key_keep_their_borders():
    keys = pairs(numbers(["ab", "a", "", "abc", "1:a", "1"], ["c", "bc", "abc", "", "b", ":ab"]))
    assert len(set(keys)) == 6


def test_an_integer_is_the_same_key_before_and_after_widening():
    narrow, wide = (numbers([1, -1], ["x", "y"], types=[kind, None]) for kind in (pa.int32(), pa.int64()))
    assert pairs(narrow) == pairs(wide)
    assert numbers([1, -1], types=[pa.int32()]).first.tolist() == numbers([1, -1], types=[pa.int64()]).first.tolist()


@pytest.mark.parametrize(
    ("values", "small", "large"),
    [(["é", "b"], pa.string(), pa.large_string()), ([b"\x00\xff", b"b"], pa.binary(), pa.large_binary())],
)
def test_offsets_of_either_width_hold_the_same_keys(values, small, large):
    """Kafka's events have small ones, rows in the shape of an Iceberg table large ones."""
    assert pairs(numbers(values, types=[small])) == pairs(numbers(values, types=[large]))
    narrow, wide = (WantedRange(pa.chunked_array([pa.array(values, kind)])) for kind in (small, large))
    assert (narrow.lowest, narrow.highest) == (wide.lowest, wide.highest) and wide.lowest is not None
    wanted = WantedKeys(pa.table({"k": pa.array(values[:1], small)}), numbers(values[:1], types=[small]))
    assert wanted.rows_in(pa.table({"k": pa.array(values, large)})).tolist() == [0]


def test_integers_are_exact_at_their_ends():
    assert numbers([2**63 - 1, -(2**63)]).first.tolist() == [2**63 - 1, -(2**63)]
    assert numbers([1]).second is None


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", "b"]),
        pa.array([b"a", b"b"]),
        pa.array([True, False]),
        pa.array([1, 2], pa.int32()).cast(pa.date32()),
        pa.array([1, 2]).cast(pa.timestamp("us", "UTC")),
        pa.array(["1.10", "1.11"]).cast(pa.decimal128(9, 2)),
        pa.array([0.1, 0.2], pa.float32()),
    ],
    ids=lambda values: str(values.type),
)
def test_two_values_of_a_type_are_two_keys(values):
    first, second = pairs(key_numbers(pa.table([values], names=["k"])))
    assert first != second


def test_no_keys_at_all():
    empty = numbers([], types=[pa.string()])
    assert found(empty, empty) == []
    assert found(numbers([], types=[pa.int64()]), numbers([1])) == []


def test_every_row_of_an_unsorted_file_with_duplicates_is_found():
    assert found(numbers([5, 3, 5, 9, 3]), numbers([3, 4, 5])) == [(0, 2), (1, 0), (2, 2), (4, 0)]
    assert found(numbers(["b", "a", "b"]), numbers(["b", "c"])) == [(0, 0), (2, 0)]


def test_equal_first_halves_are_told_apart_by_the_second():
    held = KeyNumbers(np.array([7, 7, 7], np.uint64), np.array([1, 2, 3], np.uint64))
    wanted = KeyNumbers(np.array([7], np.uint64), np.array([2], np.uint64))
    assert found(held, wanted) == [(1, 0)]


def test_a_file_in_key_order_needs_no_row_numbers():
    assert FileKeys.of(numbers([1, 2, 9])).rows is None
    assert FileKeys.of(numbers([1, 2, 2])).rows is not None


KEYS = st.integers(-4, 4)
WORDS = st.sampled_from(["", "a", "b", "ab", "é"])


@given(st.lists(KEYS), st.sets(KEYS))
def test_integer_lookup_equals_a_plain_search(held, wanted):
    sought = sorted(wanted)
    expected = sorted((row, sought.index(key)) for row, key in enumerate(held) if key in wanted)
    assert found(numbers(held, types=[pa.int32()]), numbers(sought, types=[pa.int64()])) == expected


@given(st.lists(st.tuples(WORDS, WORDS)), st.sets(st.tuples(WORDS, WORDS)))
def test_composite_lookup_equals_a_plain_search(held, wanted):
    sought = sorted(wanted)
    expected = sorted((row, sought.index(key)) for row, key in enumerate(held) if key in wanted)
    columns = [list(column) for column in zip(*held, strict=True)] or [[], []]
    sought_columns = [list(column) for column in zip(*sought, strict=True)] or [[], []]
    text = [pa.string(), pa.string()]
    assert found(numbers(*columns, types=text), numbers(*sought_columns, types=text)) == expected


def file_of(values, kind):
    def encoded(value):
        return value.encode() if isinstance(value, str) else value.to_bytes(kind.bit_width // 8, "little", signed=True)

    return mirror_file(LiveFile("f", 1, len(values), encoded(min(values)), encoded(max(values)), None, None), kind)


@given(st.lists(st.integers(-300, 300), min_size=1), st.lists(st.integers(-300, 300), min_size=1))
def test_a_file_is_left_out_only_if_no_key_lies_within_its_bounds(held, wanted):
    within = any(min(held) <= key <= max(held) for key in wanted)
    for kind in (pa.int32(), pa.int64()):
        assert WantedRange(pa.chunked_array([pa.array(wanted, kind)])).may_be_in(file_of(held, kind)) is within


def test_text_bounds_are_compared_as_bytes():
    wanted = WantedRange(pa.chunked_array([["é"]]))
    assert wanted.may_be_in(file_of(["a", "\U0001f600"], pa.string()))
    assert not wanted.may_be_in(file_of(["a", "z"], pa.string()))


def test_unknown_bounds_may_hold_any_key():
    live = LiveFile("f", 1, 1, None, b"\x01\x00\x00\x00", None, None)
    assert WantedRange(pa.chunked_array([[7]])).may_be_in(mirror_file(live, pa.int32()))
    decimals = WantedRange(pa.chunked_array([pa.array([1]).cast(pa.decimal128(20, 0))]))
    assert decimals.may_be_in(MirrorFile(live, 5, 6))


@given(st.lists(st.sampled_from("abcdé"), max_size=20), st.sets(st.sampled_from("abcdéf"), min_size=1))
def test_keys_are_found_alike_as_they_are_and_as_numbers(held, looked_for):
    keys, rows = (pa.table([pa.array(sorted(texts), pa.string())], names=["k"]) for texts in (held, looked_for))
    wanted = WantedKeys(rows, key_numbers(rows))
    by_number = FileKeys.of(key_numbers(keys)).find(wanted.numbers)[0]
    assert sorted(wanted.rows_in(keys).tolist()) == sorted(by_number.tolist())


def test_the_cache_takes_what_fits_and_little_of_what_does_not():
    cache = KeyCache(25_600)
    assert cache.takes(25_600)
    cache.put("a", FileKeys.of(numbers(list(range(3000)))))
    assert cache.held == 24_000 and cache.takes(1600) and not cache.takes(25_601)
    assert all(cache.takes(100) for _ in range(100)), "a little comes in at any time"
    assert 10 < sum(cache.takes(2000) for _ in range(1000)) < 200, "more of it by chance"


def test_the_cache_stays_within_its_bytes():
    cache, reads = KeyCache(100), []

    def read(name, size):
        reads.append(name)
        return FileKeys.of(numbers(list(range(size))))

    for name in "abcab":
        assert len(cache.get(name, lambda name=name: read(name, 5)).keys) == 5
        assert cache.held <= 100
    assert len(cache.get("large", lambda: read("large", 50)).keys) == 50
    assert cache.held == 80
    cache.forget("a"), cache.forget("b"), cache.forget("c")
    assert cache.held == 0
