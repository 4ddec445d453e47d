"""Seeded transactions: the same seed gives the same statements in the same order, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

TABLES = {
    "items": ("id int primary key, v int, note text", ("id",), "full"),
    "pairs": ("a int, b text, v int, primary key (a, b)", ("a", "b"), "default"),
}
"""Columns, key and replica identity by table."""
TRIPS = "chaos"
"""The note by which its trips in the source's own table are known."""
_KEYS = 200
_ADDED_COLUMNS = 3


@dataclass(frozen=True)
class Transaction:
    """Statements in one transaction; `@` stands for the schema and its dot."""

    statements: tuple[str, ...]
    commits: bool


def transactions(seed: int, example: bool = True) -> Iterator[Transaction]:
    """Without end: inserts, updates, deletes, key changes, hot keys, savepoints, rollbacks, truncates, new columns.

    Trips come and go where the source has the `example`'s tables.
    """
    chance = random.Random(f"transactions {seed}")
    kinds = [kind for kind in _KINDS if example or kind != "trips"]
    weights = [_KINDS[kind][1] for kind in kinds]
    added = 0
    while True:
        if added < _ADDED_COLUMNS and chance.random() < 0.004:
            added += 1
            yield Transaction((f"alter table @items add column more_{added} text",), True)
        statements: list[str] = []
        for kind in chance.choices(kinds, weights, k=chance.randint(1, 4)):
            statements += _KINDS[kind][0](chance)
        yield Transaction(tuple(statements), chance.random() < 0.9)


def _key(chance: random.Random) -> int:
    return chance.randrange(_KEYS)


def _long(chance: random.Random) -> str:
    """Stored out of line: events of updates that do not touch it leave it out."""
    return f"'{chance.randbytes(1500).hex()}'"


def _text(chance: random.Random) -> str:
    return chance.choice(("null", "''", "'it''s'", f"'{'é😀' * chance.randint(1, 20)}'", f"'{chance.random()}'"))


def _insert(chance: random.Random) -> list[str]:
    if chance.random() < 0.3:
        a, b, v = chance.randrange(20), chance.choice("xyz"), chance.randrange(100)
        return [f"insert into @pairs values ({a}, '{b}', {v}) on conflict (a, b) do update set v = excluded.v"]
    values = f"{_key(chance)}, {chance.randrange(100)}, {chance.choice((_text, _long))(chance)}"
    changed = "v = excluded.v, note = excluded.note"
    return [f"insert into @items (id, v, note) values ({values}) on conflict (id) do update set {changed}"]


def _many(chance: random.Random) -> list[str]:
    first = _KEYS + chance.randrange(10_000)
    rows = f"select n, n, 'many' from generate_series({first}, {first + chance.randint(50, 500)}) n"
    return [f"insert into @items (id, v, note) {rows} on conflict (id) do nothing"]


def _update(chance: random.Random) -> list[str]:
    if chance.random() < 0.3:
        return [f"update @pairs set v = v + 1 where a % 5 = {chance.randrange(5)}"]
    note = chance.choice(("", f", note = {_text(chance)}"))
    return [f"update @items set v = coalesce(v, 0) + 1{note} where id % 17 = {chance.randrange(17)}"]


def _delete(chance: random.Random) -> list[str]:
    if chance.random() < 0.3:
        return [f"delete from @pairs where a = {chance.randrange(20)}"]
    return [f"delete from @items where id % 23 = {chance.randrange(23)}"]


def _key_change(chance: random.Random) -> list[str]:
    if chance.random() < 0.3:
        a = chance.randrange(20)
        return [f"update @pairs set a = a + 100 where a = {a} and not exists (select from @pairs where a = {a + 100})"]
    old, new = _key(chance), _key(chance)
    return [f"update @items set id = {new} where id = {old} and not exists (select from @items where id = {new})"]


def _hot(chance: random.Random) -> list[str]:
    key = _key(chance)
    again = f"insert into @items (id, v) values ({key}, 0) on conflict (id) do nothing"
    return [again, *(f"update @items set v = {n} where id = {key}" for n in range(chance.randint(3, 12))),
            f"delete from @items where id = {key}", again]  # fmt: skip


def _savepoint(chance: random.Random) -> list[str]:
    return ["savepoint here", *_delete(chance), *_insert(chance), "rollback to here", *_update(chance)]


def _trips(chance: random.Random) -> list[str]:
    """The table that the real-time tables are made of."""
    zone, of_ours = chance.randint(1, 9), f"note = '{TRIPS}' and trip_id % 5 = {chance.randrange(5)}"
    values = f"now() - interval '{chance.randrange(90)} minutes', {zone}, {chance.randrange(50)}, 0, 0, 9, '{TRIPS}'"
    columns = "pickup_at, pickup_location_id, fare_amount, tip_amount, tolls_amount, total_amount, note"
    return chance.choice((
        [f"insert into trips ({columns}) values ({values})"] * 3,
        [f"update trips set total_amount = total_amount + 1, pickup_location_id = {zone} where {of_ours}"],
        [f"delete from trips where {of_ours}"],
    ))  # fmt: skip


def _truncate(chance: random.Random) -> list[str]:
    table = chance.choice(("items", "pairs"))
    return [*_insert(chance), f"truncate @{table}", *_insert(chance)]


_KINDS: dict[str, tuple[Callable[[random.Random], list[str]], float]] = {
    "insert": (_insert, 10),
    "many": (_many, 0.5),
    "update": (_update, 6),
    "delete": (_delete, 3),
    "key change": (_key_change, 3),
    "hot key": (_hot, 1),
    "savepoint": (_savepoint, 1),
    "trips": (_trips, 1),
    "truncate": (_truncate, 0.1),
}
