"""Events of a slice folded, in order, to one change per key.

A truncate cuts the slice: all rows go, and only later events count. Per key the last event decides, except that a value
which an update left out (an unchanged TOAST value) comes from the event before it, from the old key's row where the key
changed, or from the mirror's old row. Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from streaming.envelope import Events
from streaming.keys import KeyNumbers, key_numbers


@dataclass(frozen=True)
class Missing:
    """Left-out values of one upserted column: `rows` are places in `upserts`, `keys` name the mirror's old rows that
    hold them (the old key's where the key changed).
    """

    column: str
    rows: np.ndarray
    keys: KeyNumbers


@dataclass(frozen=True)
class Change:
    """What a slice does to a table.

    First all rows go if `truncate`; then the old rows of the `touched` keys (`keys`, as numbers) go and `upserts` come.
    """

    truncate: bool
    keys: pa.Table
    touched: KeyNumbers
    upserts: pa.Table
    missing: list[Missing] = field(default_factory=list)


def fold(events: Events, key: tuple[str, ...]) -> Change:
    """Fold events of one table, given in topic order, to one change per key; without a key all rows are added."""
    cut = max((place for place, op in enumerate(events.op) if op == "t"), default=-1)
    events = events.slice(cut + 1)
    if not key:
        return _added(events, truncate=cut >= 0)
    keys = events.keys(key)
    numbers = key_numbers(keys)
    order = numbers.order()
    ends = _last_of_each(numbers.take(order).starts())
    last = order[ends]
    gone = np.fromiter((events.op[place] == "d" for place in last), dtype=bool, count=last.size)
    upserts, missing = _rows(events, numbers, order, last[~gone])
    return Change(cut >= 0, keys.take(pa.array(last, pa.int64())), numbers.take(last), upserts, missing)


def _added(events: Events, *, truncate: bool) -> Change:
    nothing = KeyNumbers(np.zeros(0, dtype=np.int64), None)
    return Change(truncate, pa.table({}), nothing, events.after)


def _last_of_each(starts: np.ndarray) -> np.ndarray:
    if starts.size == 0:
        return np.zeros(0, dtype=np.int64)
    return np.append(np.flatnonzero(starts)[1:] - 1, starts.size - 1)


def _rows(events: Events, numbers: KeyNumbers, order: np.ndarray, chosen: np.ndarray) -> tuple[pa.Table, list[Missing]]:
    """The new images of the chosen events, left-out values filled from earlier events as far as they reach."""
    rows = events.after.take(pa.array(chosen, pa.int64()))
    missing = []
    for column, left_out in events.placeholders.items():
        if not left_out[chosen].any():
            continue
        earlier = _Earlier(events, numbers, order)
        found = [earlier.holder(int(place), left_out) for place in chosen]
        holders = pa.array([holder for holder, _ in found], pa.int64())
        place = rows.schema.get_field_index(column)
        rows = rows.set_column(place, rows.schema.field(place), events.after[column].take(holders))
        unresolved = np.array([row for row, (holder, _) in enumerate(found) if holder is None], dtype=np.int64)
        if unresolved.size:
            origins = np.array([origin for holder, origin in found if holder is None], dtype=np.int64)
            missing.append(Missing(column, unresolved, numbers.take(origins)))
    return rows, missing


class _Earlier:
    """Which event held a row before another one did."""

    def __init__(self, events: Events, numbers: KeyNumbers, order: np.ndarray) -> None:
        self._op = events.op
        self._change = list(zip(events.lsn.to_pylist(), events.transaction_id.to_pylist(), strict=True))
        self._previous = np.full(len(events), -1, dtype=np.int64)
        follows = np.flatnonzero(~numbers.take(order).starts())
        self._previous[order[follows]] = order[follows - 1]

    def holder(self, place: int, left_out: np.ndarray) -> tuple[int | None, int]:
        """The event that holds a value left out at `place`; or None and the event whose key's old row holds it.

        A key change is a delete of the old key directly before a create of the new one, with the same LSN.
        """
        while left_out[place]:
            if self._op[place] == "c" and self._is_key_change(place):
                place -= 1
            before = int(self._previous[place])
            if before < 0 or self._op[before] == "d":
                return None, place
            place = before
        return place, place

    def _is_key_change(self, place: int) -> bool:
        same = place > 0 and self._op[place - 1] == "d" and self._change[place] == self._change[place - 1]
        return same and self._change[place][0] is not None
