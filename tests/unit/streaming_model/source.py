"""A source table under transactions, as the records that Debezium writes of it, and what must come of them.

The oracle is the source's own rows: after each record, `states` has the rows that a mirror brought there must hold.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from catalog.source import SourceTable
from streaming.values import UNCHANGED
from streaming_model.tables import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = 1_795_000_000_000_000
Identity = tuple[int | None, int | None]


@dataclass(frozen=True)
class Record:
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass
class Source:
    """One table. `rows` is what Postgres holds, `built` what a consumer of the records so far holds."""

    table: SourceTable
    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    built: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    states: list[tuple[int, dict[tuple[Any, ...], Row]]] = field(default_factory=list)
    changelog: list[Row] = field(default_factory=list)
    rejects: list[Record] = field(default_factory=list)
    uncuttable: set[int] = field(default_factory=set)
    """Offsets at which no slice may end: a key change whose value only the old key's row holds would be torn."""
    offset: int = 0
    lsn: int = 5000
    transaction: int = 700
    previous_commit: int | None = None
    generation: int = 0
    copying: Identity | None = None

    def key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.table.key)

    def commit(self, gap: int = 1) -> None:
        """End the transaction; its marker takes an offset."""
        self.lsn += 8
        self.previous_commit, self.transaction, self.offset = self.lsn, self.transaction + 1, self.offset + gap

    def insert(self, row: Row) -> None:
        self.rows[self.key(row)] = row
        self._event("c", self._next(), after=row)

    def update(self, row: Row, *, left_out: bool = False) -> None:
        before = self.rows[self.key(row)]
        hidden = self._hidden(before) if left_out else frozenset()
        after = {name: before[name] if name in hidden else value for name, value in row.items()}
        self.rows[self.key(row)] = after
        self._event("u", self._next(), before=before if self.table.full_identity else None, after=after, hidden=hidden)

    def delete(self, key: tuple[Any, ...]) -> None:
        self._event("d", self._next(), before=self.rows.pop(key))
        self._tombstone(key)

    def move(self, key: tuple[Any, ...], row: Row, *, left_out: bool = False) -> None:
        """Change a row's key to that of `row`: a delete, a tombstone and a create that share one LSN."""
        before, change = self.rows.pop(key), self._next()
        hidden = self._hidden(before) if left_out else frozenset()
        after = {name: before[name] if name in hidden else value for name, value in row.items()}
        self.rows[self.key(after)] = after
        self._event("d", change, before=before)
        self._tombstone(key)
        if hidden:
            self.uncuttable |= {self.offset - 1, self.offset}
        self._event("c", change, after=after, hidden=hidden)

    def truncate(self) -> None:
        self.rows.clear()
        self._event("t", self._next())

    def read_again(self, key: tuple[Any, ...]) -> None:
        """An incremental snapshot's row: no LSN, no transaction."""
        self._event("r", (None, None), after=self.rows[key], marker="incremental")

    def copy(self, identity: Identity, markers: list[str]) -> None:
        """The first rows of an initial copy, one per marker."""
        for marker, row in zip(markers, list(self.rows.values()), strict=False):
            self._event("r", identity, after=row, marker=marker)

    def junk(self, value: bytes | None, *, key: bytes | None = b"{}") -> None:
        """A record that nothing can be made of."""
        self.rejects.append(self._record(key, value))

    def envelope(self, op: str, change: Identity, before: Row | None, after: Row | None, marker: str) -> Row:
        first = self.previous_commit if marker in ("false", "incremental") else None
        sequence = json.dumps([None if first is None else str(first), str(self.lsn)])
        place = {"schema": self.table.schema, "table": self.table.name, "snapshot": marker, "sequence": sequence}
        at = _START + self.lsn * 1_000_000
        source = {**place, "ts_us": at, "lsn": change[0], "txId": change[1], "db": "taxi"}
        return {"op": op, "before": before, "after": after, "source": source, "transaction": None}

    def _event(
        self,
        op: str,
        change: Identity,
        *,
        before: Row | None = None,
        after: Row | None = None,
        hidden: frozenset[str] = frozenset(),
        marker: str = "false",
    ) -> None:
        image = after if after is not None else before
        key = None if image is None else {name: image[name] for name in self.table.key}
        known = before if self.table.full_identity or before is None else {**dict.fromkeys(before), **(key or {})}
        written = before if self.table.full_identity or before is None else _invented(before, self.table.key)
        shown = None if after is None else {name: UNCHANGED if name in hidden else after[name] for name in after}
        envelope = self.envelope(op, change, written, shown, marker)
        self._follow(op, key, after, marker, change)
        at = _EPOCH + timedelta(microseconds=envelope["source"]["ts_us"])
        sequence = json.loads(envelope["source"]["sequence"])[0]
        self.changelog.append(
            {
                "op": op,
                "previous_commit_lsn": None if sequence is None else int(sequence),
                "lsn": change[0],
                "transaction_id": change[1],
                "committed_at": at,
                "topic_partition": 0,
                "topic_offset": self.offset,
                "generation": self.generation,
                "key": key,
                "before": known,
                "after": None if after is None else {name: None if name in hidden else after[name] for name in after},
                "unchanged": sorted(hidden) if after is not None and hidden else None,
            }
        )
        self._record(None if key is None else _json(key), _json(envelope))

    def _follow(self, op: str, key: Row | None, after: Row | None, marker: str, identity: Identity) -> None:
        if marker in ("false", "incremental"):
            self.copying = None
        else:
            if marker.startswith("first") or self.copying != identity:
                self.generation, self.built = self.generation + 1, {}
            self.copying = None if marker.startswith("last") else identity
        if op == "t":
            self.built = {}
        elif after is not None:
            self.built = {**self.built, self.key(after): after}
        else:
            self.built = {at: row for at, row in self.built.items() if at != tuple((key or {}).values())}

    def _record(self, key: bytes | None, value: bytes | None) -> Record:
        record = Record(self.offset, key, value)
        self.records.append(record)
        self.offset += 1
        self.states.append((self.offset, self.built))
        return record

    def _tombstone(self, key: tuple[Any, ...]) -> None:
        self._record(_json(dict(zip(self.table.key, key, strict=True))), None)

    def _next(self) -> Identity:
        self.lsn += 8
        return self.lsn, self.transaction

    def _hidden(self, before: Row) -> frozenset[str]:
        return frozenset(name for name in before if name == "big" and before[name] is not None)

    def state_at(self, next_offset: int) -> dict[tuple[Any, ...], Row]:
        """The rows after all records below an offset."""
        place = bisect_left(self.states, next_offset + 1, key=lambda state: state[0])
        return self.states[place - 1][1] if place else {}

    def slice(self, start: int, end: int) -> pa.Table:
        """The records of a range, as the query brings them."""
        chosen = [record for record in self.records if start <= record.offset < end]
        return pa.table(
            {
                "partition": pa.array([0] * len(chosen), pa.int32()),
                "offset": pa.array([record.offset for record in chosen], pa.int64()),
                "key": pa.array([record.key for record in chosen], pa.binary()),
                "value": pa.array([record.value for record in chosen], pa.binary()),
            }
        )


def _invented(before: Row, key: tuple[str, ...]) -> Row:
    """Without full identity Debezium fills an old row up with zeros."""
    return {name: value if name in key else 0 if name == "n" else None for name, value in before.items()}


def _json(value: Any) -> bytes:
    return json.dumps(value, default=lambda exact: f"{exact:.2f}" if isinstance(exact, Decimal) else exact).encode()
