"""Histories of a source table, drawn as plain actions so that a failing one shrinks to its essence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from streaming_model.source import Source
from streaming_model.tables import FRESH, KINDS, SPARE, Kind

_ACTIONS = (
    "put",
    "put",
    "put",
    "delete",
    "move",
    "swap",
    "truncate",
    "commit",
    "commit",
    "read",
    "copy",
    "junk",
    "bad",
)


@dataclass(frozen=True)
class Action:
    kind: str
    key: int
    value: int
    flag: bool


_action = st.builds(Action, st.sampled_from(_ACTIONS), st.integers(0, 5), st.integers(0, 5), st.booleans())
# Lists alone would mostly be short.
actions = st.sampled_from([0, 8, 16]).flatmap(lambda least: st.lists(_action, min_size=least, max_size=28))


@st.composite
def histories(draw: st.DrawFn, kinds: Mapping[str, Kind] = KINDS) -> Source:
    """A source table's whole topic; its last record is a streamed insert."""
    kind = kinds[draw(st.sampled_from(sorted(kinds)))]
    source = Source(kind.table(draw(st.booleans())))
    for number in draw(st.sets(st.integers(0, 5))):
        row = kind.row(number, number % 3)
        source.rows[source.key(row)] = row
    if source.rows or draw(st.booleans()):
        _copy(source, kind, Action("copy", draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.booleans())))
    for action in draw(actions):
        _do(source, kind, action)
    source.insert(kind.row(FRESH, 1))
    source.commit()
    return source


def _do(source: Source, kind: Kind, action: Action) -> None:
    row = kind.row(action.key, action.value)
    key, left_out = source.key(row), action.flag and not source.table.full_identity
    if action.kind == "put":
        source.update(row, left_out=left_out) if key in source.rows else source.insert(row)
    elif action.kind == "delete" and key in source.rows:
        source.delete(key)
    elif action.kind == "move":
        _move(source, kind, action.key, (action.key + 1 + action.value) % 6, left_out)
    elif action.kind == "swap":
        other = (action.key + 1) % 6
        for start, end in ((action.key, SPARE), (other, action.key), (SPARE, other)):
            _move(source, kind, start, end, left_out)
    elif action.kind == "truncate":
        source.truncate()
    elif action.kind == "commit":
        source.commit(1 + action.value % 3)
    elif action.kind == "read" and key in source.rows:
        source.read_again(key)
    elif action.kind == "copy":
        _copy(source, kind, action)
    elif action.kind == "junk":
        source.junk(*_JUNK[(action.key + action.value) % len(_JUNK)])
    elif action.kind == "bad":
        _bad(source, kind, action.key, "false")


def _move(source: Source, kind: Kind, start: int, end: int, left_out: bool) -> None:
    old, row = source.key(kind.row(start, 0)), kind.row(end, 2)
    if old in source.rows and source.key(row) not in source.rows:
        source.move(old, row, left_out=left_out)


def _copy(source: Source, kind: Kind, action: Action) -> None:
    """Copies that break off, each followed by changes that no record tells of, then a whole one."""
    source.commit(0)
    for _ in range(action.value % 3):
        size = len(source.rows)
        source.copy((source.lsn, source.transaction), _markers(size, action.flag)[: min(action.key, max(size - 1, 0))])
        source.rows.pop(source.key(kind.row(action.key, 0)), None)
        changed = kind.row((action.key + 1) % 6, action.value)
        source.rows[source.key(changed)] = changed
        source.commit()
    markers = _markers(len(source.rows), action.flag)
    if action.value == 5:  # the last row is unreadable: the next streamed event ends the copy
        source.copy((source.lsn, source.transaction), [*markers[:-1], *["true"][: len(markers[:1])]])
        _bad(source, kind, SPARE, "last_in_data_collection")
        source.insert(kind.row(SPARE, 1))
        source.delete(source.key(kind.row(SPARE, 1)))
    else:
        source.copy((source.lsn, source.transaction), markers)
    source.commit()


def _markers(rows: int, first_of_all: bool) -> list[str]:
    first, last = ("first", "last_in_data_collection") if first_of_all else ("first_in_data_collection", "last")
    return [last][:rows] if rows < 2 else [first, *["true"] * (rows - 2), last]


def _bad(source: Source, kind: Kind, number: int, marker: str) -> None:
    """An event of the right table with a value that does not fit its type."""
    row = kind.row(number, 1)
    column = "n" if "n" in row else kind.key[0]
    op = "c" if marker == "false" else "r"
    envelope = source.envelope(op, (source.lsn, source.transaction), None, {**row, column: 1 << 70}, marker)
    source.junk(json.dumps(envelope, default=str).encode())


_JUNK: tuple[tuple[bytes], ...] = (
    (b'{"op":"c",',),
    (b"",),
    (b"[1, 2]",),
    (b'"text"',),
    (b'{"ts_ms": 1795198414624}',),
    (b'{"op":"c","source":{}}',),
    (
        b'{"op":"c","after":{},"source":{"schema":"public","table":"others","lsn":1,"txId":1,"ts_us":1,"sequence":null,'
        b'"snapshot":"false"}}',
    ),
    (
        b'{"op":"x","after":{},"source":{"schema":"public","table":"things","lsn":1,"txId":1,"ts_us":1,"sequence":null,'
        b'"snapshot":"false"}}',
    ),
    (
        b'{"op":"c","after":null,"source":{"schema":"public","table":"things","lsn":1,"txId":1,"ts_us":1,"sequence":null,'
        b'"snapshot":"false"}}',
    ),
    (
        b'{"op":"c","after":{},"source":{"schema":"public","table":"things","lsn":1,"txId":1,"ts_us":1,"sequence":null,'
        b'"snapshot":"false"}}',
    ),
)
