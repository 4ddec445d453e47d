"""Any slicing, replay, crash point, second driver and writer brings a topic to the same tables, each event once."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streaming_model.histories import histories
from streaming_model.lake import Process, Warehouse
from streaming_model.runs import Driver, Step, steps, tables
from streaming_model.source import Source


def mirror_rows(source, mirror):
    rows = mirror.rows()
    keyed = {source.key(row): row for row in rows}
    assert len(keyed) == len(rows), "a key stands in the mirror twice"
    return keyed


def check_positions(warehouse, source):
    """What a reader sees now is what the source had at the positions that the tables say; rejects come first."""
    mirror, changelog, quarantine = tables(Process(warehouse), source)
    reached, logged = (
        0 if table.position() is None else table.position().next_offset(0) for table in (mirror, changelog)
    )
    assert mirror_rows(source, mirror) == source.state_at(reached)
    offsets = sorted(row["topic_offset"] for row in changelog.rows())
    assert offsets == [row["topic_offset"] for row in source.changelog if row["topic_offset"] < logged]
    passed = {record.offset for record in source.rejects if record.offset < max(reached, logged)}
    assert passed <= {row["topic_offset"] for row in quarantine.rows()}


def check_end(warehouse, source):
    mirror, changelog, quarantine = tables(Process(warehouse), source)
    assert mirror_rows(source, mirror) == source.rows
    assert sorted(changelog.rows(), key=lambda row: row["topic_offset"]) == source.changelog
    held = sorted((row["topic_offset"], row["key"], row["value"]) for row in quarantine.rows())
    assert held == [(record.offset, record.key, record.value) for record in source.rejects]


def run(source: Source, plan, *, cache=1 << 20, as_dict=False, many=32, piece=64 << 20, partitioned=False):
    with patch("streaming.marking._MANY", many), patch("streaming.mirror.PIECE_BYTES", piece):
        _run(source, plan, cache, as_dict, partitioned)


def _run(source: Source, plan, cache, as_dict, partitioned):
    warehouse = Warehouse(partitioned=partitioned)
    drivers = [Driver(warehouse, source, cache=cache, as_dict=as_dict) for _ in range(2)]
    for step in plan:
        drivers[step.driver].run(step)
        check_positions(warehouse, source)
    for _ in range(2):  # the first may find itself fenced
        drivers[0].run(Step())
    assert drivers[0].finished
    check_end(warehouse, source)


@given(
    histories(),
    steps,
    st.sampled_from([0, 100, 1 << 20]),
    st.sampled_from([0, 1, 3, 32]),
    st.sampled_from([1, 300]),
    st.booleans(),
)
def test_any_way_through_the_topic_gives_the_source_s_rows(source, plan, cache, many, piece, partitioned):
    """However few small files an epoch takes in, in whatever pieces and partitions it writes its rows."""
    run(source, plan, cache=cache, many=many, piece=piece, partitioned=partitioned)


@pytest.mark.parametrize("as_dict", [False, True], ids=["vectors", "dict"])
@given(source=histories(), plan=steps)
def test_every_writer_gives_the_same_table(source, plan, as_dict):
    run(source, plan, as_dict=as_dict)
