"""One record's envelope, checked and read into plain values; what is wrong with it is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson

from catalog.source import SourceTable

OPERATIONS = frozenset("cudrt")
HAS_AFTER = frozenset("cur")
STREAMED = frozenset({"false", "incremental"})
"""Values of `source.snapshot` outside of an initial copy."""
COPIED = frozenset({"first", "first_in_data_collection", "true", "last_in_data_collection", "last"})

_SOURCE = itemgetter("lsn", "txId", "ts_us", "sequence", "snapshot")


@dataclass
class Rows:
    """What the loop over records gathers, before it becomes columns."""

    row: list[int] = field(default_factory=list)
    op: list[str] = field(default_factory=list)
    source: list[tuple[Any, ...]] = field(default_factory=list)
    before: list[tuple[Any, ...] | None] = field(default_factory=list)
    after: list[tuple[Any, ...] | None] = field(default_factory=list)

    def without(self, places: Collection[int]) -> Rows:
        """All but the rows at these places."""
        kept = [place for place in range(len(self.row)) if place not in places]
        chosen = Rows()
        for name, values in vars(self).items():
            setattr(chosen, name, [values[place] for place in kept])
        return chosen


class UnreadableError(Exception):
    """A record from which no change event can be read; `key_readable` says whether its row could be named."""

    def __init__(self, reason: str, *, key_readable: bool = True) -> None:
        super().__init__(reason)
        self.key_readable = key_readable


class Reader:
    """Reads envelopes of one table into rows of `Rows`."""

    def __init__(self, source: SourceTable, ignored: frozenset[str]) -> None:
        self.source = source
        self.names = [column.name for column in source.columns]
        self.ignored = ignored
        self.unknown: set[str] = set()
        self._get: Callable[[dict[str, Any]], tuple[Any, ...]] = (
            itemgetter(*self.names) if len(self.names) > 1 else lambda image: (image[self.names[0]],)
        )
        places = [self.names.index(name) for name in source.key]
        self._key_of: Callable[[tuple[Any, ...]], tuple[Any, ...]] = (
            itemgetter(*places) if len(places) > 1 else lambda image: tuple(image[place] for place in places)
        )

    def read(self, row: int, key: bytes | None, value: bytes, rows: Rows) -> None:
        """Add the record at place `row` of the slice to `rows`. Raises UnreadableError."""
        try:
            envelope = orjson.loads(value)
        except orjson.JSONDecodeError as malformed:
            raise UnreadableError(f"malformed JSON: {malformed}", key_readable=key is not None) from malformed
        try:
            op, source = envelope["op"], envelope["source"]
            place = (source["schema"], source["table"])
            facts = _SOURCE(source)
        except (KeyError, TypeError) as missing:
            raise UnreadableError(f"not a Debezium envelope: {missing} is missing") from missing
        if place != (self.source.schema, self.source.name):
            raise UnreadableError(
                f"a record of table {'.'.join(map(str, place))} in the topic of {self.source.qualified}"
            )
        if op.__class__ is not str or op not in OPERATIONS:
            raise UnreadableError(f"unknown operation {op!r}")
        if facts[4] != "false":
            _check_marker(op, facts[4])
        if key is None and op != "t" and self.source.key:
            raise UnreadableError("missing key", key_readable=False)
        before, after = self._image(envelope.get("before")), self._image(envelope.get("after"))
        self._check_key(op, before, after)
        rows.row.append(row)
        rows.op.append(op)
        rows.source.append(facts)
        rows.before.append(before if op in "ud" else None)
        rows.after.append(after if op in HAS_AFTER else None)

    def _image(self, image: dict[str, Any] | None) -> tuple[Any, ...] | None:
        if image is None:
            return None
        if image.__class__ is not dict:
            raise UnreadableError("a row image that is not an object")
        try:
            if len(image) == len(self.names):
                return self._get(image)
        except KeyError:
            pass
        self.unknown |= image.keys() - set(self.names) - self.ignored
        return tuple(map(image.get, self.names))

    def _check_key(self, op: str, before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> None:
        if op == "t":
            return
        image = after if op in HAS_AFTER else before
        if image is None:
            raise UnreadableError(f"operation {op} without its {'new' if op in HAS_AFTER else 'old'} row")
        if None in self._key_of(image):
            raise UnreadableError("missing key column in the row", key_readable=False)


def _check_marker(op: str, marker: Any) -> None:
    """A marker taken for an initial copy's by mistake would throw the table's rows away."""
    if marker.__class__ is not str or (marker not in STREAMED and marker not in COPIED):
        raise UnreadableError(f"source.snapshot is {marker!r}")
    if marker in COPIED and op != "r":
        raise UnreadableError(f"operation {op} in an initial copy")
