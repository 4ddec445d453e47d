"""A topic that is not what it was stops its table, and a mirror that is behind its topic is not compared."""

import pytest

from catalog.errors import TableStoppedError, VerificationError
from catalog.positions import PartitionPosition, Position
from catalog.verification.coverage import _require_covered
from streaming.audit import Topic
from streaming.opening import check_topic

AT_40 = Position("id 1", {0: PartitionPosition(40)})


def check(position, topic_id="id 1", earliest=None):
    check_topic("public.things", position, Topic("lakehouse.things", topic_id, earliest or {0: 0}))


def test_the_topic_that_it_was_is_fine():
    check(AT_40)
    check(AT_40, earliest={0: 40})
    check(None, topic_id="any")


def test_a_topic_that_was_created_again_stops_the_table():
    with pytest.raises(TableStoppedError, match="was created again"):
        check(AT_40, topic_id="id 2")


def test_a_topic_that_lost_records_stops_the_table():
    with pytest.raises(TableStoppedError, match="begins at 41, the table is at 40"):
        check(AT_40, earliest={0: 41})


def test_a_table_without_a_position_starts_only_at_the_first_record():
    with pytest.raises(TableStoppedError, match="begins at 7, the table is at 0"):
        check(None, earliest={0: 7})


def test_a_topic_that_got_partitions_stops_the_table():
    with pytest.raises(TableStoppedError, match="has 2 partitions, the table knows 1"):
        check(AT_40, earliest={0: 0, 1: 0})


def test_a_mirror_behind_its_topic_is_not_compared():
    _require_covered("things", AT_40, {0: 40})
    with pytest.raises(VerificationError, match="at offset 40 of 41"):
        _require_covered("things", AT_40, {0: 41})
