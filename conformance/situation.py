"""One situation: what is done in Postgres, and what another engine must find in the lake."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]
HAS_READ = "-- here the copy has read its rows"
"""Among the statements `during` a resync: what follows waits for that."""


@dataclass(frozen=True)
class Situation:
    """A table of its own and what happens to it. In SQL, `@table` is its quoted name and `@schema` its schema.

    `setup` makes the table. `before` runs before it joins, so that its rows are copied; `steps` while it streams;
    `down` while the streaming job is stopped; `during` while its table is resynced. Each statement is a transaction of
    its own unless it says otherwise, and runs in a first session; one that begins with `2:` in a second, which is how
    transactions are interleaved.

    Expected: `select` of the mirror, asked in DuckDB and ordered by `order`, gives `rows`, and mirror, changelog and
    source are equal. `ops` are the changelog's operations in topic order; None where they are not what it is about.
    `stops` is a part of the reason for which the stream must stop the table; `lake resync` then leads to `rows`.
    `refused` is a part of the reason for which it must never join. `set_aside` are parts of the reasons for which
    records must be in the quarantine, in topic order: Postgres has rows then that the lake cannot hold. `append_only`
    tables join with the option of this name.
    """

    name: str
    setup: tuple[str, ...]
    steps: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    ops: str | None = None
    select: str = "*"
    order: str = "id"
    table: str = ""
    before: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    stops: str = ""
    during: tuple[str, ...] = ()
    refused: str = ""
    set_aside: tuple[str, ...] = ()
    slow: bool = False
    append_only: bool = False

    @property
    def table_name(self) -> str:
        """Its table's name, without the schema."""
        return self.table or "".join(c if c.isalnum() else "_" for c in self.name.lower())[:50]

    @property
    def expected(self) -> str:
        """What must be found, in words."""
        if self.refused:
            return f"refused: {self.refused}"
        parts = [f"stops ({self.stops}), then"] if self.stops else []
        parts.append(f"{len(self.rows):,} {'row' if len(self.rows) == 1 else 'rows'}")
        if self.ops:
            parts.append(f"events {self.ops if len(self.ops) <= 16 else f'{len(self.ops):,}'}")
        if self.set_aside:
            parts.append(f"{len(self.set_aside)} set aside")
        return ", ".join(parts).replace("then,", "then")


def first_difference(found: list[Row], expected: tuple[Row, ...]) -> str:
    """The first difference between rows, empty when there is none; a value of another type differs."""
    for place, (mine, wanted) in enumerate(zip(found, expected, strict=False)):
        if len(mine) != len(wanted):
            return f"row {place + 1} has {len(mine)} columns, not {len(wanted)}"
        for column, (here, there) in enumerate(zip(mine, wanted, strict=True)):
            if not _same(here, there):
                return f"row {place + 1}, column {column + 1}: {_short(here)}, not {_short(there)}"
    return "" if len(found) == len(expected) else f"{len(found):,} rows, not {len(expected):,}"


def _same(here: Any, there: Any) -> bool:
    if isinstance(here, list) and isinstance(there, list):
        return len(here) == len(there) and all(map(_same, here, there))
    if isinstance(here, float) and isinstance(there, float) and math.isnan(there):
        return math.isnan(here)
    return type(here) is type(there) and bool(here == there)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
