"""What Postgres held after each transaction, as `test_decoding` tells on a slot of its own, never Debezium."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import psycopg

Row = tuple[int, int | None, str | None]
"""Of a table `(id int primary key, amount int, note text)` with full replica identity."""

_VALUES = re.compile(r"id\[integer\]:(\d+) amount\[integer\]:(\d+|null) note\[text\]:(null|'(?:[^']|'')*')")

_KEY = re.compile(r"id\[integer\]:(\d+)")


@dataclass(frozen=True)
class Moment:
    """The rows after a transaction, in key order; `lsn` is the end of its commit record, `at` its time."""

    lsn: str
    at: datetime
    rows: list[Row]


class Decoder:
    """A logical slot beside the connector's."""

    def __init__(self, connection: psycopg.Connection, slot: str) -> None:
        self._connection, self._slot = connection, slot

    def moments(self, table: str) -> Iterator[Moment]:
        """A moment for each transaction that changed `schema.table`, since the slot was made and the table empty."""
        rows: dict[int, Row] = {}
        changed = False
        query = "select lsn::text, data from pg_logical_slot_get_changes(%s, null, null, 'include-timestamp', 'on')"
        for lsn, line in self._connection.execute(query, [self._slot]):
            if line.startswith(f"table {table}: "):
                _change(rows, line.removeprefix(f"table {table}: "))
                changed = True
            elif line.startswith("COMMIT") and changed:
                at = datetime.fromisoformat(line[line.index("(at ") + 4 : -1])
                yield Moment(lsn, at, sorted(rows.values()))
                changed = False


@contextmanager
def decoder(dsn: str) -> Iterator[Decoder]:
    """A decoder of all that is committed from now on."""
    slot = f"replay_{uuid4().hex[:8]}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_create_logical_replication_slot(%s, 'test_decoding')", [slot])
        try:
            yield Decoder(connection, slot)
        finally:
            connection.execute("select pg_drop_replication_slot(%s)", [slot])


def _change(rows: dict[int, Row], line: str) -> None:
    op, _, tuples = line.partition(": ")
    if op == "TRUNCATE":
        rows.clear()
        return
    if op in ("UPDATE", "DELETE"):  # the old tuple comes first, without its nulls
        del rows[int(_KEY.search(tuples)[1])]
    if op in ("UPDATE", "INSERT"):
        row = _row(*_VALUES.findall(tuples)[-1])
        rows[row[0]] = row


def _row(key: str, amount: str, note: str) -> Row:
    return (
        int(key),
        None if amount == "null" else int(amount),
        None if note == "null" else note[1:-1].replace("''", "'"),
    )


def random_transactions(dsn: str, table: str, count: int, seed: int) -> None:
    """Two sessions with keys of their own parity, whose transactions lie across each other; some are rolled back."""
    chance = random.Random(seed)
    with psycopg.connect(dsn) as even, psycopg.connect(dsn) as odd:
        sessions = (even, odd)
        for number in range(count):
            mine = number % 2
            for _ in range(chance.randint(1, 4)):  # the other's transaction stays open around this one's end
                parity = chance.choice((mine, 1 - mine))
                sessions[parity].execute(_statement(chance, table, parity).encode())
            with sessions[mine].transaction(force_rollback=True):  # a savepoint, rolled back
                sessions[mine].execute(f"delete from {table} where id % 2 = {mine}".encode())
            (sessions[mine].rollback if chance.random() < 0.15 else sessions[mine].commit)()
            if number == count * 2 // 3:
                sessions[1 - mine].commit()
                sessions[mine].execute(f"truncate {table}".encode())
                sessions[mine].commit()


def _statement(chance: random.Random, table: str, parity: int) -> str:
    key = 2 * chance.randint(0, 30) + parity
    kind = chance.choice(("insert", "insert", "insert", "update", "update", "delete", "key"))
    if kind == "insert":
        note = chance.choice(("null", "''", "'it''s'", f"'n{chance.random()}'"))
        return (
            f"insert into {table} values ({key}, {chance.randint(0, 99)}, {note})"
            f" on conflict (id) do update set amount = excluded.amount, note = excluded.note"
        )
    if kind == "update":
        return f"update {table} set amount = {chance.choice(('null', 'amount + 1'))} where id % 2 = {parity}"
    if kind == "delete":
        return f"delete from {table} where id % 6 = {key % 6} and id % 2 = {parity}"
    mine = f"from {table} where id % 2 = {parity}"
    return f"update {table} set id = (select max(id) + 2 {mine}) where id = (select min(id) {mine})"
