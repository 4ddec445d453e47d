"""Where the snapshot that the windows were made from cannot be compared with, they are made anew; otherwise never."""

from dataclasses import replace
from datetime import timedelta

import pytest
from streaming_model.lake import Metadata, Process, Snapshot, Warehouse
from streaming_model.realtime import (
    NOW,
    TRIPS,
    FollowingDriver,
    Turn,
    expected_activity,
    expected_windows,
    realtime_tables,
)
from streaming_model.runs import Step
from streaming_model.source import Source

from streaming.activity import as_instant, window_end
from streaming.realtime import RealtimeTables

FOLLOW = Turn(Step(), True, 0, None, False)


def source_of(*rows) -> Source:
    source = Source(TRIPS.table(True))
    for number, value in rows:
        source.insert(TRIPS.row(number, value))
        source.commit()
    return source


def brought(warehouse: Warehouse, source: Source) -> FollowingDriver:
    driver = FollowingDriver(warehouse, source)
    driver.run(Step())
    driver.follow(FOLLOW, NOW)
    return driver


@pytest.fixture
def beginnings(monkeypatch):
    """Counts how often the windows are made anew."""
    made, begin = [], RealtimeTables._begin
    monkeypatch.setattr(RealtimeTables, "_begin", lambda tables, view: (made.append(view), begin(tables, view))[1])
    return made


def holds(warehouse, source):
    windows = realtime_tables(Process(warehouse)).windows.table
    key = ("window_size", "window_start", "zone_id")
    assert sorted(windows.rows(), key=lambda row: [row[name] for name in key]) == expected_windows(source.rows.values())


def test_changes_are_told_from_files_also_by_another_process(beginnings):
    warehouse, source = Warehouse(), source_of((0, 1), (1, 2))
    brought(warehouse, source)
    for number in range(5):
        source.update(TRIPS.row(number % 2, number + 1))
        if number == 3:
            source.truncate()
            source.insert(TRIPS.row(1, 2))
            source.insert(TRIPS.row(0, 2))
        source.insert(TRIPS.row(2 + number, 3))
        source.commit()
        brought(warehouse, source)
        holds(warehouse, source)
    assert len(beginnings) == 1, "the first"


def test_a_change_that_touches_no_window_is_passed():
    warehouse, source = Warehouse(), source_of((0, 1))
    brought(warehouse, source)
    source.insert(TRIPS.row(5, 4))  # nobody knows when
    source.commit()
    brought(warehouse, source)
    tables = realtime_tables(Process(warehouse))
    for table in (tables.windows.table, tables.activity.table):
        assert (5,) in source.state_at(table.position().next_offset(0))


def test_windows_that_lost_rows_are_made_anew(beginnings, monkeypatch):
    warehouse, source = Warehouse(), source_of((0, 1), (1, 2))
    driver = brought(warehouse, source)
    source.delete((0,))
    source.commit()
    driver.run(Step())
    lost = driver._tables.measures.schema.empty_table()
    monkeypatch.setattr(RealtimeTables, "_sums", lambda *_: lost)
    driver.follow(FOLLOW, NOW)
    holds(warehouse, source)
    assert len(beginnings) == 2


@pytest.mark.parametrize("what", ["snapshot", "file"])
def test_where_the_snapshot_or_its_file_is_gone_they_are_made_anew(beginnings, what):
    warehouse, source = Warehouse(), source_of((0, 1), (1, 2))
    brought(warehouse, source)
    source.delete((0,))
    source.insert(TRIPS.row(3, 2))
    source.commit()
    driver = FollowingDriver(warehouse, source)
    driver.run(Step())
    metadata = warehouse.tables["mirror"]
    first = min(metadata.snapshots)
    old = metadata.snapshots[first]
    kept = {number: snapshot for number, snapshot in metadata.snapshots.items() if number != first}
    if what == "file":  # it names one more, which the store does not hold
        (file, vector), *_ = old.files.values()
        kept[first] = Snapshot(old.entry, {**old.files, "gone": (replace(file, path="gone"), vector)})
    warehouse.tables["mirror"] = Metadata(kept, metadata.refs, metadata.properties)
    driver._stream.mirror.table.refresh()
    driver.follow(FOLLOW, NOW)
    holds(warehouse, source)
    assert len(beginnings) == 2


def test_one_that_was_fenced_forgets_what_it_knew():
    warehouse, source = Warehouse(), source_of((0, 0), (1, 1))
    first = brought(warehouse, source)
    source.insert(TRIPS.row(3, 0))
    source.insert(TRIPS.row(6, 0))
    source.update(TRIPS.row(0, 3))
    source.commit()
    brought(warehouse, source)
    later = NOW + timedelta(minutes=4)
    for _ in range(2):  # the first time it finds that another moved the tables
        first.follow(FOLLOW, later)
    activity = realtime_tables(Process(warehouse)).activity.table
    rows = sorted(activity.rows(), key=lambda row: (row["activity_timestamp"], row["zone_id"]))
    assert rows == expected_activity(source.rows.values(), as_instant(window_end(later)))
