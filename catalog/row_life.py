"""One row's whole life: every event of its changelog, also under the keys that it had before and after.

The events of a key make up *lives*: one begins with an insert or a copy and ends with a delete, a truncate or a new
copy. Where an update changed the key, the delete under the old key and the insert under the new one come from one
record of the WAL, so they share LSN and transaction: that leads from a life to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from catalog.errors import HistoryError
from catalog.history import lsn_text
from catalog.lsn import PLACE, quoted_name
from catalog.settings import CATALOG
from catalog.verification.comparison import shown
from catalog.versions import Versions

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Key = tuple[Any, ...]
Row = dict[str, Any]
_REST = "transaction_id, lsn, committed_at, generation"


@dataclass(frozen=True)
class RowEvent:
    """One event: `op` is c, u, d, r (found by a copy) or t. `before` and `after` are the row before and from then on.

    `unknown` names columns whose value an update left out and no event before it tells. `moved_from` and `moved_to` are
    the other key of an event that is one half of a change of the key.
    """

    op: str
    committed_at: datetime
    lsn: int
    transaction_id: int | None
    generation: int
    place: int
    key: Row
    before: Row | None
    after: Row | None
    unknown: tuple[str, ...] = ()
    moved_from: Row | None = None
    moved_to: Row | None = None

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """By column the values before and after, where they differ."""
        names = (self.after or self.before or {}).keys()
        pairs = {name: ((self.before or {}).get(name), (self.after or {}).get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def as_json(self) -> dict[str, Any]:
        """Its JSON form; `changed` holds `[before, after]` by column."""
        facts = {
            "op": self.op,
            "committed_at": self.committed_at.isoformat(),
            "lsn": self.lsn,
            "lsn_text": lsn_text(self.lsn),
            "transaction_id": self.transaction_id,
            "generation": self.generation,
            "key": self.key,
            "before": self.before,
            "after": self.after,
            "changed": {name: list(pair) for name, pair in self.changed.items()},
            "unknown": list(self.unknown),
            "moved_from": self.moved_from,
            "moved_to": self.moved_to,
        }
        found: dict[str, Any] = shown(facts)
        return found


def parse_key(names: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """The key that people write: `42` for a key of one column, otherwise `name=value` for each. Raises HistoryError."""
    if len(names) == len(given) == 1 and not given[0].startswith(f"{names[0]}="):
        return {names[0]: given[0]}
    pairs = dict(text.partition("=")[::2] for text in given)
    if set(pairs) != set(names):
        wanted = " ".join(f"--key {name}=…" for name in names)
        raise HistoryError(f"{' '.join(given)} is no key of this table", remedy=f"write {wanted}")
    return pairs


def row_life(duckdb: DuckDBPyConnection, versions: Versions, key: Mapping[str, str]) -> list[RowEvent]:
    """All events of the row that has or had this key, in order. Raises HistoryError for a value that is no key."""
    reader = _Reader(duckdb, versions)
    waiting = reader.lives(reader.key(key))
    seen: dict[tuple[int, int], RowEvent] = {}
    while waiting:
        life = waiting.pop()
        first = (life[0].generation, life[0].place)
        if first in seen:
            continue
        moves = reader.moves(life)
        for event in life:
            there = moves.get((event.generation, event.place))
            if there is None:
                seen[event.generation, event.place] = event
                continue
            move = {"moved_to": there.key} if event.op == "d" else {"moved_from": there.key, "before": there.before}
            seen[event.generation, event.place] = replace(event, **move)
            place = (there.generation, there.place)
            key_there = tuple(there.key.values())
            waiting += [other for other in reader.lives(key_there) if place in {(e.generation, e.place) for e in other}]
    return [seen[place] for place in sorted(seen)]


class _Reader:
    def __init__(self, duckdb: DuckDBPyConnection, versions: Versions) -> None:
        self._duckdb, self._versions = duckdb, versions
        self._table = f"{CATALOG}.{quoted_name(versions.changelog)}"
        self._key = f"({', '.join(f'key.{quoted_name(name)}' for name in versions.key)})"

    def key(self, given: Mapping[str, str]) -> Key:
        """The key's values, of the types that they have in the changelog."""
        import duckdb

        columns = [f"key.{quoted_name(name)}" for name in self._versions.key]
        kinds = self._duckdb.execute(
            f"select {', '.join(f'typeof({column})' for column in columns)} from {self._table} limit 1"
        ).fetchone()
        if kinds is None:
            raise HistoryError(f"{self._versions.changelog} has no event yet", remedy="lake status")
        casts = ", ".join(f"cast(? as {kind})" for kind in kinds)
        try:
            row = self._duckdb.execute(f"select {casts}", [given[name] for name in self._versions.key]).fetchone()
        except duckdb.Error as unfit:
            raise HistoryError(
                f"{dict(given)} is no key of {self._versions.changelog.removesuffix('_cdc')}: {unfit}",
                remedy="write it as the source has it",
            ) from unfit
        assert row is not None
        return row

    def lives(self, key: Key) -> list[list[RowEvent]]:
        """The lives that rows had under a key, each with what ended it."""
        marks = ", ".join("?" for _ in key)
        events = self._events(f"op = 't' or {self._key} = ({marks})", key)
        lives: list[list[RowEvent]] = []
        life: list[RowEvent] = []
        known = dict(zip(self._versions.key, key, strict=True))
        for event in events:
            if life and event.generation != life[0].generation:
                lives.append(life)
                life = []
            row = life[-1].after if life else None
            if event.op == "t":
                if row is None:
                    continue
                event = replace(event, key=known, before=row)
            life.append(_told(event, row))
            if event.op in "dt":
                lives.append(life)
                life = []
        return [*lives, life] if life else lives

    def moves(self, life: Sequence[RowEvent]) -> dict[tuple[int, int], RowEvent]:
        """By place of an event that changed the key, the event under the other key."""
        candidates = [event for event in life if event.op in "cd" and event.transaction_id is not None]
        halves = {(event.generation, event.lsn, event.transaction_id): event for event in candidates}
        if not halves:
            return {}
        lsns = ", ".join(str(lsn) for _, lsn, _ in halves)
        found = {}
        mine = tuple(life[0].key.values())
        for other in self._events(f"lsn in ({lsns}) and op in ('c', 'd')", ()):
            half = halves.get((other.generation, other.lsn, other.transaction_id))
            if half is None or other.op == half.op or tuple(other.key.values()) == mine:
                continue
            if (half.op == "d") == (other.place > half.place):
                found[half.generation, half.place] = other
        return found

    def _events(self, where: str, values: Sequence[Any]) -> list[RowEvent]:
        query = (
            f"select op, {_REST}, key, before, after, unchanged, {PLACE} as place from {self._table}"
            f" where {where} order by generation, place"
        )
        return [
            RowEvent(
                row["op"],
                row["committed_at"],
                row["lsn"],
                row["transaction_id"],
                row["generation"],
                row["place"],
                row["key"] or {},
                row["before"],
                row["after"],
                tuple(row["unchanged"] or ()),
            )
            for row in self._duckdb.execute(query, values).to_arrow_table().to_pylist()
        ]


def _told(event: RowEvent, row: Row | None) -> RowEvent:
    """The event with what the one before it tells: the row that it found, and values that it left out."""
    before = event.before if row is None else row
    if event.op in "rc":
        return replace(event, before=None)
    if event.after is None or not event.unknown:
        return replace(event, before=before)
    known = {name: before[name] for name in event.unknown if before is not None}
    return replace(event, before=before, after=event.after | known, unknown=() if before is not None else event.unknown)
