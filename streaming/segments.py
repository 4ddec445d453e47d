"""A slice of events cut into stretches that are applied in different ways: an initial copy, and everything else.

Debezium marks the rows of an initial copy in `source.snapshot`: `first` or `first_in_data_collection`, `true`, then
`last_in_data_collection` or `last`; a table's only row carries just one of these. Rows of one copy share LSN and
transaction. Stream events and incremental snapshots are marked `false` and `incremental`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from catalog.positions import Copy
from streaming.envelope import Events
from streaming.reading import STREAMED

_FIRST = frozenset({"first", "first_in_data_collection"})
_LAST = frozenset({"last", "last_in_data_collection"})


@dataclass(frozen=True)
class Segment:
    """Events applied in one commit. `copy` is the initial copy they belong to; None for the stream's own events.

    `begins`: they start a new generation; `ends`: the generation is whole after them.
    """

    events: Events
    copy: Copy | None = None
    begins: bool = False
    ends: bool = False


def segments(events: Events, under_way: Copy | None) -> Iterator[Segment]:
    """Cut events; `under_way` is the initial copy that the table is in, None when it is in none."""
    start = 0
    while start < len(events):
        if events.copy_marker[start] in STREAMED:
            end = _end_of_stream(events, start)
            yield Segment(events.slice(start, end - start))
            under_way = None
        else:
            identity = (events.lsn[start].as_py(), events.transaction_id[start].as_py())
            begins = events.copy_marker[start] in _FIRST or not _continues(under_way, identity)
            end = _end_of_copy(events, start, identity)
            before = 0 if begins or under_way is None else under_way.rows
            under_way = Copy(*identity, rows=before + end - start)
            ends = events.copy_marker[end - 1] in _LAST
            yield Segment(events.slice(start, end - start), under_way, begins, ends)
            under_way = None if ends else under_way
        start = end


def _continues(under_way: Copy | None, identity: tuple[int | None, int | None]) -> bool:
    return under_way is not None and (under_way.lsn, under_way.transaction_id) == identity


def _end_of_stream(events: Events, start: int) -> int:
    end = start + 1
    while end < len(events) and events.copy_marker[end] in STREAMED:
        end += 1
    return end


def _end_of_copy(events: Events, start: int, identity: tuple[int | None, int | None]) -> int:
    """Up to and with its last row, or to where another copy or the stream begins."""
    end = start
    lsn, transaction = events.lsn.to_pylist(), events.transaction_id.to_pylist()
    while end < len(events):
        marker = events.copy_marker[end]
        restarted = end > start and (marker in _FIRST or (lsn[end], transaction[end]) != identity)
        if marker in STREAMED or restarted:
            return end
        end += 1
        if marker in _LAST:
            return end
    return end
