"""What must stop a table, or start its driver again, instead of going on with wrong rows."""

from threading import Barrier, Thread

import pytest
from streaming_model.lake import CrashError, Process, Warehouse
from streaming_model.runs import Driver, Step, Turns, tables
from streaming_model.source import Source
from streaming_model.tables import NUMBER

from catalog.errors import TableStoppedError
from catalog.positions import GapError, OffsetRange, Position
from streaming.envelope import Reject
from streaming.quarantine import Quarantine, Rejected
from streaming.writer import FencedError


def source_of(full_identity=True, rows=4):
    source = Source(NUMBER.table(full_identity))
    for number in range(rows):
        source.insert(NUMBER.row(number, 1))
        source.commit()
    return source


def stream_of(source, warehouse):
    return Driver(warehouse, source, cache=1 << 20)._open()


def apply(stream, source, start, end, **turns):
    return stream.apply(source.slice(start, end), [OffsetRange(0, start, end)], Turns(**turns))


def test_an_epoch_above_the_position_is_refused():
    source = source_of()
    stream = stream_of(source, Warehouse())
    apply(stream, source, 0, 2)
    with pytest.raises(GapError, match="starts at 3, the table is at 2"):
        apply(stream, source, 3, 6)


def test_an_epoch_already_applied_commits_nothing():
    source, warehouse = source_of(), Warehouse()
    stream = stream_of(source, warehouse)
    assert apply(stream, source, 0, source.offset) == 4
    before = dict(warehouse.tables)
    assert apply(stream, source, 0, source.offset) == 0
    assert warehouse.tables == before


def test_commit_lsns_that_fall_stop_the_table():
    source = source_of()
    stream = stream_of(source, Warehouse())
    apply(stream, source, 0, source.offset)
    start, source.previous_commit = source.offset, 17
    source.insert(NUMBER.row(4, 1))
    with pytest.raises(TableStoppedError, match=r"commit LSNs fall from .* to 17"):
        apply(stream, source, start, source.offset)


@pytest.mark.parametrize("mirror_first", [False, True], ids=["changelog ahead", "mirror ahead"])
@pytest.mark.parametrize("dies_after", [False, True], ids=["before its commit", "after its commit"])
def test_a_table_left_behind_by_a_crash_catches_up(mirror_first, dies_after):
    source, warehouse = source_of(), Warehouse()
    stream = stream_of(source, warehouse)
    process = stream.mirror.table.lake
    process.fuse, process.dies_after = (0 if dies_after else 1), dies_after
    with pytest.raises(CrashError):
        apply(stream, source, 0, source.offset, last_first=mirror_first)
    assert apply(stream_of(source, warehouse), source, 0, source.offset) == 4
    mirror, changelog, _ = tables(Process(warehouse), source)
    assert {source.key(row): row for row in mirror.rows()} == source.rows
    assert sorted(row["topic_offset"] for row in changelog.rows()) == [row["topic_offset"] for row in source.changelog]


def test_a_second_driver_with_stale_memory_is_fenced_and_changes_nothing():
    source, warehouse = source_of(), Warehouse()
    first, second = stream_of(source, warehouse), stream_of(source, warehouse)
    apply(first, source, 0, 4)
    before = dict(warehouse.tables)
    with pytest.raises(FencedError, match="moved by another streaming driver"):
        apply(second, source, 0, 3)
    assert warehouse.tables == before


def test_a_key_change_torn_from_its_value_stops_the_table_rather_than_inventing_one():
    source = source_of(full_identity=False)
    start = source.offset
    source.move(source.key(NUMBER.row(0, 0)), NUMBER.row(5, 2), left_out=True)
    stream = stream_of(source, Warehouse())
    apply(stream, source, 0, start + 1)
    with pytest.raises(TableStoppedError, match="left big out as unchanged"):
        apply(stream, source, start + 1, source.offset)


def test_a_copy_that_breaks_off_leaves_the_old_rows_to_readers():
    source, warehouse = source_of(), Warehouse()
    stream = stream_of(source, warehouse)
    apply(stream, source, 0, source.offset)
    rows, start = dict(source.rows), source.offset
    source.rows = {source.key(NUMBER.row(5, 2)): NUMBER.row(5, 2), source.key(NUMBER.row(4, 2)): NUMBER.row(4, 2)}
    source.copy((source.lsn, 1), ["first", "last"])
    apply(stream, source, start, source.offset - 1)
    mirror, _, _ = tables(Process(warehouse), source)
    assert {source.key(row): row for row in mirror.rows()} == rows
    apply(stream, source, source.offset - 1, source.offset)
    mirror.refresh()
    assert {source.key(row): row for row in mirror.rows()} == source.rows
    assert mirror.position().generation == 1


def test_rejects_of_two_tables_at_once_are_held_once_each():
    source, warehouse = source_of(), Warehouse()
    for number in range(3):
        source.junk(b"{", key=str(number).encode())
    _, _, table = tables(Process(warehouse), source)
    quarantine = Quarantine(table)
    quarantine.load()
    records, ends = source.slice(source.offset - 3, source.offset), {0: source.offset}
    rejects = [Reject(place, "malformed") for place in range(3)]
    both, write = Barrier(2, timeout=1), table.lake.store.write_parquet

    def write_together(location, rows):
        try:
            both.wait()
        except Exception:  # noqa: BLE001 - one after the other is right as well
            both.abort()
        return write(location, rows)

    table.lake.store.write_parquet = write_together
    parts = [Rejected(topic, "id", records, rejects, ends) for topic in ("lakehouse.a", "lakehouse.b")]
    threads = [Thread(target=quarantine.append, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Quarantine(tables(Process(warehouse), source)[2])
    again.load()
    assert [again.append(part) for part in parts] == [0, 0]
    assert len(again.table.rows()) == 6


def test_positions_of_the_quarantine_are_kept_by_topic():
    source, warehouse = source_of(), Warehouse()
    source.junk(b"{")
    stream = stream_of(source, warehouse)
    apply(stream, source, 0, source.offset)
    reader = Quarantine(tables(Process(warehouse), source)[2])
    reader.load()
    assert reader.next_offset(stream.topic, stream.topic_id, 0) == source.offset
    assert reader.next_offset(stream.topic, "recreated", 0) == 0
    assert isinstance(reader.position, Position)


def test_a_fresh_driver_finishes_what_a_dead_one_left():
    source, warehouse = source_of(), Warehouse()
    driver = Driver(warehouse, source, cache=0)
    driver.run(Step(fuse=1))
    assert not driver.finished
    driver.run(Step())
    assert driver.finished
