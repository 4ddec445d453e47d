"""What Postgres itself says happened: a second replication slot, decoded by `test_decoding`, never by Debezium."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg

from catalog.history import lsn_number
from catalog.settings import Settings

Row = tuple[tuple[str, str], ...]
"""Columns that are not null, by name, with their values as texts."""
_COLUMN = re.compile(r"""("(?:[^"]|"")+"|\w+)\[[^\]]+\]:('(?:[^']|'')*'|\S+)""")
_LEFT_OUT = "unchanged-toast-datum"


@dataclass(frozen=True)
class Event:
    """A change as the changelog has it: its LSN, op, key and new row; `row` is None for a delete and a truncate."""

    lsn: int
    op: str
    key: tuple[str | None, ...]
    row: Row | None = None


class Oracle:
    """A slot of its own. It holds the WAL back until it is read, so a run should not last for days."""

    def __init__(self, dsn: str, slot: str) -> None:
        self._dsn, self._slot = dsn, slot

    def events(self, table: str, key: tuple[str, ...]) -> list[tuple[int, Event]]:
        """Every change of `schema.table` that was committed since the slot was made, in commit order.

        Each comes with the LSN at which its transaction's commit ends.
        """
        query = "select lsn::text, data from pg_logical_slot_peek_changes(%s, null, null, 'skip-empty-xacts', 'on')"
        found: list[tuple[int, Event]] = []
        transaction: list[Event] = []
        with psycopg.connect(self._dsn) as connection:  # faults take connections away
            for lsn, line in connection.execute(query, [self._slot]):
                if line.startswith(f"table {table}: "):
                    transaction += events(line.removeprefix(f"table {table}: "), key, lsn_number(lsn))
                elif line.startswith("COMMIT"):
                    found += [(lsn_number(lsn), event) for event in transaction]
                    transaction = []
        return found


@contextmanager
def oracle(settings: Settings) -> Iterator[Oracle]:
    """An oracle of all that is committed from now on."""
    slot = f"oracle_{uuid4().hex[:8]}"
    dsn = settings.source_dsn("cdc")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_create_logical_replication_slot(%s, 'test_decoding')", [slot])
    try:
        yield Oracle(dsn, slot)
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("select pg_drop_replication_slot(%s)", [slot])


def events(line: str, key: tuple[str, ...], lsn: int) -> list[Event]:
    """The events of a line behind the table's name. A key change is a delete and a create, as Debezium has it.

    A long value that an update does not touch is the old row's, which must be whole then.
    """
    op, _, tuples = line.partition(": ")
    if op == "TRUNCATE":
        return [Event(lsn, "t", ())]
    old_text, _, new_text = tuples.rpartition("new-tuple: ") if "new-tuple: " in tuples else ("", "", tuples)
    new = _row(new_text)
    new_key = tuple(new.get(name) for name in key)
    if op == "DELETE":
        return [Event(lsn, "d", new_key)]
    old = _row(old_text)
    row = as_row({name: old[name] if value == _LEFT_OUT else value for name, value in new.items()})
    if op == "INSERT":
        return [Event(lsn, "c", new_key, row)]
    old_key = tuple(old.get(name) for name in key) if old else new_key
    if old_key == new_key:
        return [Event(lsn, "u", new_key, row)]
    return [Event(lsn, "d", old_key), Event(lsn, "c", new_key, row)]


def as_row(values: Mapping[str, Any]) -> Row:
    """A row by column, of whatever reader, as the decoder's are written here."""
    return tuple(sorted((name, str(value)) for name, value in values.items() if value is not None))


def _row(text: str) -> dict[str, str]:
    """Columns that are not null, as text."""
    row = {}
    for name, value in _COLUMN.findall(text):
        if value != "null":
            row[name.strip('"')] = value[1:-1].replace("''", "'") if value.startswith("'") else value
    return row
