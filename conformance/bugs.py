"""Bugs that change data capture is known for, as they would be in this stream: each twists the events on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streaming.envelope import Events
from streaming.values import UNCHANGED

Place = Literal["read", "changelog", "mirror", "marks", "windows"]
Twist = Callable[[Events], Events]
OFF = pa.scalar(5 * 3600 * 1_000_000, pa.duration("us"))


@dataclass(frozen=True)
class Bug:
    """What is wrong, and where: in events as they are `read`, only in those of the `changelog` or of the `mirror`, in
    the `marks` on old rows, or in the real-time `windows`; the last two have nothing to twist.
    """

    name: str
    place: Place
    twist: Twist = lambda events: events


def _without(events: Events, gone: set[int]) -> Events:
    return events.take([place for place in range(len(events)) if place not in gone])


def _last_update_lost(events: Events) -> Events:
    return _without(events, {max((n for n, op in enumerate(events.op) if op == "u"), default=-1)})


def _covered_update_lost(events: Events) -> Events:
    transactions = events.transaction_id.to_pylist()
    alike = pairwise(zip(events.op, transactions, strict=True))
    return _without(events, {n for n, (one, next_) in enumerate(alike) if one == next_ and one[0] == "u"})


def _update_twice(events: Events) -> Events:
    return events.take([n for n, op in enumerate(events.op) for _ in range(2 if op == "u" else 1)])


def _by_time(events: Events) -> Events:
    """Updates of one moment are in an order that nothing tells: here the first comes last."""
    happened = list(zip(events.op, events.committed_at.to_pylist(), strict=True))
    moments = np.cumsum([True] + [one != next_ or one[0] != "u" for one, next_ in pairwise(happened)])
    return events.take(np.lexsort((-np.arange(len(events)), moments)).tolist())


def _ignoring(op: str) -> Twist:
    return lambda events: _without(events, {n for n, each in enumerate(events.op) if each == op})


def _ghosts(events: Events) -> Events:
    """A key change is a delete and a create of one LSN."""
    changes = pairwise(zip(events.op, events.lsn.to_pylist(), strict=True))
    return _without(
        events, {n for n, ((op, at), (next_, then)) in enumerate(changes) if (op, next_) == ("d", "c") and at == then}
    )


def _swapped(events: Events) -> Events:
    created = np.array([op == "c" for op in events.op])
    keys = events.after["id"].to_numpy(zero_copy_only=False).copy()
    keys[created] = keys[created][::-1]
    return _with(events, "id", pa.array(keys, events.after["id"].type, from_pandas=True))


def _through_doubles(events: Events) -> Events:
    amounts = events.after["amount"]
    return _with(events, "amount", pc.cast(amounts.cast(pa.float64()), amounts.type, safe=False))


def _in_another_zone(events: Events) -> Events:
    return _with(events, "made", pc.subtract(events.after["made"], OFF))


def _placeholders_as_data(events: Events) -> Events:
    for name, left_out in events.placeholders.items():
        events = _with(events, name, pc.if_else(pa.array(left_out), UNCHANGED, events.after[name]))
    events.placeholders = {}
    return events


def _with(events: Events, name: str, column: pa.Array) -> Events:
    place = events.after.schema.get_field_index(name)
    events = events.take(range(len(events)))
    events.after = events.after.set_column(place, events.after.schema.field(place), column)
    return events


CORRECTION = Bug("a correction of the real-time tables is skipped", "windows")
BUGS = (
    Bug("an event is lost", "read", _last_update_lost),
    Bug("an event is lost that a later one covers", "read", _covered_update_lost),
    Bug("an event is lost in the changelog alone", "changelog", _last_update_lost),
    Bug("an event is applied twice", "read", _update_twice),
    Bug("events are put in order by ts_ms", "mirror", _by_time),
    Bug("a delete is ignored", "mirror", _ignoring("d")),
    Bug("a truncate is lost", "mirror", _ignoring("t")),
    Bug("an old key stays as a ghost", "mirror", _ghosts),
    Bug("an old row stays beside the new one", "marks"),
    Bug("keys are swapped", "mirror", _swapped),
    Bug("a decimal goes through a double", "read", _through_doubles),
    Bug("a time zone is shifted", "read", _in_another_zone),
    Bug("the placeholder of a long value is taken for it", "read", _placeholders_as_data),
    CORRECTION,
)
