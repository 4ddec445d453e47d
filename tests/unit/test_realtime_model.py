"""However the stream comes through a topic, its real-time tables equal a recomputation from the mirror they name."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from streaming_model.histories import histories
from streaming_model.lake import Process, Warehouse
from streaming_model.realtime import (
    NOW,
    TRIPS,
    FollowingDriver,
    Turn,
    expected_activity,
    expected_windows,
    realtime_tables,
    turns,
)
from streaming_model.runs import Step

from catalog.tables import realtime
from catalog.tables.realtime import AS_OF
from streaming import windows as sums

KEY = ("window_size", "window_start", "zone_id")


def check(warehouse, source):
    """What a reader sees is what the source had at the positions and the time that the tables say."""
    tables = realtime_tables(Process(warehouse))
    windows, activity = tables.windows.table, tables.activity.table
    if (position := windows.position()) is None:
        assert not windows.rows()
        return
    at_windows = source.state_at(position.next_offset(0)).values()
    assert sorted(windows.rows(), key=lambda row: [row[name] for name in KEY]) == expected_windows(at_windows)
    if (position := activity.position()) is None:
        return
    as_of = datetime.fromisoformat(activity.metadata.snapshots[activity.head()].entry.summary[AS_OF])
    at_activity = source.state_at(position.next_offset(0)).values()
    found = sorted(activity.rows(), key=lambda row: (row["activity_timestamp"], row["zone_id"]))
    assert found == expected_activity(at_activity, as_of)


@pytest.fixture(autouse=True, scope="module")
def few_trips_matter():
    """A beginning takes several spans of days, and one trip of a week before is usual."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sums, "_ROWS_AT_ONCE", 2)
        patched.setattr(realtime, "LEAST_USUAL", 1 / 8)
        yield


@settings(max_examples=settings().max_examples // 6)  # three tables and an oracle in plain Python take their time
@given(histories({"trips": TRIPS}), turns)
def test_the_tables_equal_a_recomputation_wherever_a_run_was_cut(source, plan):
    warehouse, now = Warehouse(), NOW
    drivers = [FollowingDriver(warehouse, source) for _ in range(2)]
    for turn in plan:
        driver = drivers[turn.epoch.driver]
        driver.run(turn.epoch)
        if turn.follows:
            now += timedelta(minutes=turn.minutes)
            driver.follow(turn, now)
            check(warehouse, source)
    for _ in range(3):  # the first may find itself fenced
        drivers[0].run(Step())
        drivers[0].follow(Turn(Step(), True, 0, None, False), now)
    assert drivers[0].finished
    check(warehouse, source)
    tables = realtime_tables(Process(warehouse))
    for table in (tables.windows.table, tables.activity.table):
        assert source.state_at(table.position().next_offset(0)) == source.state_at(source.offset)
