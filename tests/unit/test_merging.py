"""Which small files are merged: the fullest class of size, bounded in bytes, deleted rows discounted."""

import pytest

from streaming.iceberg import LiveFile
from streaming.merging import due, size_class
from streaming.puffin import Vector

KIB, MIB = 1 << 10, 1 << 20


def file(size, rows=100, deleted=0, name=""):
    vector = Vector("v", 1, deleted, "f", 4, 1) if deleted else None
    return LiveFile(f"{name or size}-{rows}-{deleted}", size, rows, None, None, vector, None)


@pytest.mark.parametrize(
    ("size", "number"),
    [
        (0, 0),
        (1, 0),
        (256 * KIB, 0),
        (256 * KIB + 1, 1),
        (MIB, 1),
        (MIB + 1, 2),
        (4 * MIB, 2),
        (4 * MIB + 1, 3),
        (16 * MIB, 3),
        (16 * MIB + 1, 4),
    ],
)
def test_each_class_is_four_times_the_one_before(size, number):
    assert size_class(size) == number


def test_too_few_of_each_class_are_left_alone():
    assert due([*[file(KIB)] * 3, *[file(MIB)] * 3], 4) == []


def test_the_fullest_class_is_chosen_whole():
    small, middle = [file(KIB, name=str(n)) for n in range(5)], [file(MIB, name=str(n)) for n in range(4)]
    assert due([*middle, *small], 4) == small


def test_a_merge_is_bounded_in_bytes_and_rows():
    chosen = due([file(4 * MIB, name=str(n)) for n in range(10)], 4)
    assert sum(member.size for member in chosen) <= 16 * MIB
    assert len(chosen) == 4
    chosen = due([file(KIB, rows=100_000, name=str(n)) for n in range(10)], 4)
    assert sum(member.rows for member in chosen) <= 500_000
    assert len(chosen) == 5


def test_a_merge_is_bounded_in_files():
    assert len(due([file(KIB, name=str(n)) for n in range(600)], 4)) == 512


def test_large_files_are_left_to_maintenance():
    assert due([file(4 * MIB + 1, name=str(n)) for n in range(10)], 2) == []
    assert due([file(KIB, rows=125_001, name=str(n)) for n in range(10)], 2) == []


def test_a_file_counts_as_what_is_alive_of_it():
    dead = file(4 * MIB, 100, 99)
    assert due([dead, file(200 * KIB, name="a"), file(300 * KIB, name="b")], 2) == [dead, file(200 * KIB, name="a")]


def test_one_file_with_many_deleted_rows_is_rewritten_alone_the_most_deleted_first():
    some, more, most = file(10 * MIB, 100, 20), file(10 * MIB, 100, 21), file(32 * MIB, 100, 22)
    assert due([some, more, most], 2) == [most]
    assert due([some, more], 2) == [more]
    assert due([some], 2) == []


def test_a_worn_file_is_left_alone_where_it_is_small_or_too_large_to_hold():
    assert due([file(MIB - 1, 100, 99)], 2) == []
    assert due([file(32 * MIB + 1, 100, 99)], 2) == []
    assert due([file(10 * MIB, 1_000_001, 1_000_000)], 2) == []
