"""An epoch's ranges are read from Spark's checkpoint as Spark writes it."""

import pytest

from catalog.positions import OffsetRange
from streaming.offsets import epoch_ranges

METADATA = '{"batchWatermarkMs":0,"batchTimestampMs":1795198404000,"conf":{"spark.sql.shuffle.partitions":"2"}}'


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "offsets").mkdir()
    (tmp_path / "sources" / "0").mkdir(parents=True)
    # Spark writes a zero byte first, so that its older versions refuse the file.
    (tmp_path / "sources" / "0" / "0").write_bytes(b'\x00v1\n{"lakehouse.trips":{"0":100},"lakehouse.vendors":{"0":7}}')

    def write(epoch, offsets):
        (tmp_path / "offsets" / str(epoch)).write_text(f"v1\n{METADATA}\n{offsets}")

    write(0, '{"lakehouse.trips":{"0":150},"lakehouse.vendors":{"0":7}}')
    write(1, '{"lakehouse.trips":{"0":150,"1":4},"lakehouse.vendors":{"0":9}}')
    return tmp_path


def test_the_first_epoch_starts_at_the_source_s_offsets(checkpoint):
    assert epoch_ranges(checkpoint, 0) == {"lakehouse.trips": [OffsetRange(0, 100, 150)]}


def test_a_later_epoch_starts_at_the_end_of_the_one_before(checkpoint):
    assert epoch_ranges(checkpoint, 1) == {
        "lakehouse.trips": [OffsetRange(1, 0, 4)],
        "lakehouse.vendors": [OffsetRange(0, 7, 9)],
    }


def test_without_a_version_line(checkpoint):
    (checkpoint / "sources" / "0" / "0").write_text('v1{"lakehouse.trips":{"0":120}}')
    assert epoch_ranges(checkpoint, 0)["lakehouse.trips"] == [OffsetRange(0, 120, 150)]


def test_an_epoch_that_was_not_begun_has_no_ranges(checkpoint):
    with pytest.raises(FileNotFoundError):
        epoch_ranges(checkpoint, 2)
