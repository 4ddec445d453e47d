"""Which files an epoch takes in instead of marking them: small ones, where they are many, bounded in bytes."""

import pyarrow as pa
import pytest
from pyroaring import BitMap

from streaming.files import MirrorFile
from streaming.iceberg import LiveFile
from streaming.marking import many_small, without

KIB, MIB = 1 << 10, 1 << 20


def file(size, rows=100):
    return MirrorFile(LiveFile("f", size, rows, None, None, None, None), None, None)


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ([file(20 * KIB)] * 32, 0),
        ([file(20 * KIB)] * 33, 33),
        ([file(MIB)] * 100, 0),
        ([file(20 * KIB, rows=20_001)] * 100, 0),
        ([file(MIB)] * 30 + [file(20 * KIB)] * 33, 33),
        ([file(256 * KIB)] * 300, 256),
    ],
    ids=["few", "many", "large", "many rows", "beside large ones", "more than memory for them"],
)
def test_many_small_files_are_taken_in(files, taken):
    assert len(many_small(files)) == taken


def test_deleted_rows_are_left_behind():
    rows = pa.table({"k": [5, 6, 7]})
    assert without(rows, BitMap([0, 2]))["k"].to_pylist() == [6]
    assert without(rows, BitMap())["k"].to_pylist() == [5, 6, 7]
