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
    """Values of one upserted column that must come from the mirror's old rows: `rows` are places in `upserts`."""

    column: str
    rows: np.ndarray


@dataclass(frozen=True)
class Change:
    """What a slice does to a table.

    First all rows go if `truncate`; then the old rows of `touched` keys go and `upserts` come, `upserts` holding the rows
    of the touched keys at the places `upserted`.
    """

    truncate: bool
    keys: pa.Table
    touched: KeyNumbers
    upserts: pa.Table
    upserted: np.ndarray
    missing: list[Missing] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """True when the table stays as it is."""
        return not self.truncate and len(self.touched) == 0


def fold(events: Events, key: tuple[str, ...]) -> Change:
    """Fold events of one table, given in topic order, to one change per key."""
    cut = max((place for place, op in enumerate(events.op) if op == "t"), default=-1)
    events = events.slice(cut + 1)
    keys = events.keys(key)
    numbers = key_numbers(keys)
    order = numbers.order()
    ends = _last_of_each(numbers.take(order).starts())
    last = order[ends]
    gone = np.fromiter((events.op[place] == "d" for place in last), dtype=bool, count=last.size)
    upserted = np.flatnonzero(~gone)
    upserts, missing = _rows(events, numbers, order, last[upserted])
    taken = pa.array(last, pa.int64())
    return Change(cut >= 0, keys.take(taken), numbers.take(last), upserts, upserted, missing)


def _last_of_each(starts: np.ndarray) -> np.ndarray:
    if starts.size == 0:
        return np.zeros(0, dtype=np.int64)
    return np.append(np.flatnonzero(starts)[1:] - 1, starts.size - 1)


def _rows(events: Events, numbers: KeyNumbers, order: np.ndarray, chosen: np.ndarray) -> tuple[pa.Table, list[Missing]]:
    """The new images of the chosen events, left-out values filled from earlier events as far as they reach."""
    rows = events.after.take(pa.array(chosen, pa.int64()))
    if not events.placeholders:
        return rows, []
    previous = _previous_images(events, numbers, order)
    missing = []
    for column, left_out in events.placeholders.items():
        source = np.arange(len(events))
        open_places = chosen[left_out[chosen]]
        at = open_places.copy()
        while at.size and bool((pending := (at >= 0) & left_out[np.maximum(at, 0)]).any()):
            at[pending] = previous[at[pending]]
        source[open_places] = at
        values = _value_of(events, column, source[chosen])
        place = rows.schema.get_field_index(column)
        rows = rows.set_column(place, rows.schema.field(place), values)
        unresolved = np.flatnonzero(source[chosen] < 0)
        if unresolved.size:
            missing.append(Missing(column, unresolved))
    return rows, missing


def _previous_images(events: Events, numbers: KeyNumbers, order: np.ndarray) -> np.ndarray:
    """For each event the place of the event that holds the row's values before it; -1 where the slice has none.

    A key change is a delete of the old key and a create of the new one with the same LSN and transaction, in this order.
    """
    previous = np.full(len(events), -1, dtype=np.int64)
    starts = numbers.take(order).starts()
    follows = np.flatnonzero(~starts)
    previous[order[follows]] = order[follows - 1]
    change_of = list(zip(events.lsn.to_pylist(), events.transaction_id.to_pylist(), strict=True))
    for place in range(1, len(events)):
        is_key_change = events.op[place] == "c" and events.op[place - 1] == "d"
        if is_key_change and change_of[place] == change_of[place - 1] and change_of[place][0] is not None:
            previous[place] = previous[place - 1]
    deleted = np.fromiter((op == "d" for op in events.op), dtype=bool, count=len(events))
    lost = (previous >= 0) & deleted[np.maximum(previous, 0)]
    previous[lost] = -1
    return previous


def _value_of(events: Events, column: str, places: np.ndarray) -> pa.ChunkedArray:
    known = pa.array(np.maximum(places, 0), pa.int64(), mask=places < 0)
    return events.after[column].take(known)
