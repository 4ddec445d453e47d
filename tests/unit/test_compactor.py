"""When files are rewritten and put in place, over tables in memory: beside epochs, for the run that asked for it."""

import time
from unittest.mock import patch

import pytest
from streaming_model.lake import Process, Warehouse
from streaming_model.runs import Driver, Turns, tables
from streaming_model.source import Source
from streaming_model.tables import NUMBER

from catalog.positions import OffsetRange
from streaming.compaction import Compactor


class Lake:
    """A source's table that gets an epoch for each change; `compactor` rewrites two files of a class."""

    def __init__(self):
        self.source, self.warehouse, self.compactor = Source(NUMBER.table(True)), Warehouse(), Compactor(2)
        self.open()

    def open(self):
        self.stream = Driver(self.warehouse, self.source, cache=1 << 20)._open()

    def epoch(self, change, number, value):
        start = self.source.offset
        change(NUMBER.row(number, value))
        self.source.commit()
        ranges = [OffsetRange(0, start, self.source.offset)]
        self.stream.apply(self.source.slice(start, self.source.offset), ranges, Turns())

    def three_files(self):
        for number in range(3):
            self.epoch(self.source.insert, number, 1)

    def between_epochs(self):
        """What is begun is whole when this returns."""
        self.compactor.between_epochs([self.stream])
        while self.compactor._under_way is not None and not self.compactor._under_way.done():
            time.sleep(0.01)

    def compacted(self):
        """Until nothing is due any more."""
        for _ in range(8):
            self.compactor._not_before = 0.0
            self.between_epochs()

    @property
    def files(self):
        return len(self.stream.mirror.files), sum(map(len, self.stream.changelog.recent.values()))

    def check(self):
        """Readers see the source's rows, and every event once."""
        mirror, changelog, _ = tables(Process(self.warehouse), self.source)
        assert sorted(mirror.rows(), key=lambda row: row["id"]) == [
            self.source.rows[key] for key in sorted(self.source.rows)
        ]
        offsets = sorted(row["topic_offset"] for row in changelog.rows())
        assert offsets == [row["topic_offset"] for row in self.source.changelog]


@pytest.fixture
def lake():
    return Lake()


def test_mirror_and_changelog_are_rewritten_in_turn(lake):
    lake.three_files()
    assert lake.files == (3, 3)
    lake.between_epochs()
    assert lake.files == (3, 3), "written, and put in place when it is looked at again"
    lake.compacted()
    assert lake.files == (1, 1)
    lake.check()


def test_what_an_epoch_changes_meanwhile_is_carried_over(lake):
    lake.three_files()
    lake.compactor._turn = 1  # the mirror's turn
    lake.between_epochs()
    lake.epoch(lake.source.update, 1, 2)
    lake.compactor.between_epochs([lake.stream])
    assert lake.files[0] == 2
    assert sum(file.vector.cardinality for file in lake.stream.mirror.files.values() if file.vector) == 1
    lake.check()


def test_files_made_for_an_earlier_run_are_not_put_in_place(lake):
    lake.three_files()
    lake.between_epochs()
    before = dict(lake.warehouse.tables)
    lake.open()
    lake.compactor.between_epochs([lake.stream])
    assert lake.warehouse.tables == before


def test_a_rewrite_that_fails_is_tried_again_later(lake):
    lake.three_files()
    with patch.object(type(lake.warehouse.store), "read_parquet", side_effect=OSError("the store is away")):
        lake.between_epochs()
    lake.between_epochs()
    assert lake.compactor._not_before > time.monotonic() + 10
    assert lake.compactor._under_way is None
    lake.compacted()
    assert lake.files == (1, 1)
    lake.check()
