"""A row's life and the difference of two points as they look in a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from catalog.difference import TableDifference
from catalog.history import lsn_text
from catalog.row_life import RowEvent
from catalog.verification.comparison import shown

OPS = {"c": "insert", "u": "update", "d": "delete", "r": "copied", "t": "truncate"}
MOST_CHARACTERS = 80
"""Of a cell; --json shows all."""
STYLES = {"added": "green", "removed": "red", "changed": "yellow"}


def life_table(title: str, events: Sequence[RowEvent], of: int) -> RenderableType:
    """Events of a row, oldest first: when, where in the WAL, and each cell that changed."""
    table = Table(title=title, title_justify="left", box=None, header_style="dim", pad_edge=False)
    for heading in ("committed at (UTC)", "LSN", "transaction", "event", "column", "before", "after"):
        table.add_column(heading)
    for event in events:
        facts = [f"{event.committed_at:%Y-%m-%d %H:%M:%S.%f}", lsn_text(event.lsn)]
        facts += ["" if event.transaction_id is None else str(event.transaction_id), _what(event)]
        for number, (name, pair) in enumerate(event.changed.items() or [("", ("", ""))]):
            cells = [_cell(value) if name else Text("") for value in pair]
            table.add_row(*(facts if number == 0 else [""] * len(facts)), name, *cells)
    told = f"{len(events)} events" if len(events) == of else f"the newest {len(events)} of {of} events"
    return Group(table, Text(told, style="dim"))


def difference_table(found: TableDifference) -> RenderableType:
    """How many rows came, went and changed, and the first of them."""
    table = Table(title=found.table, title_justify="left", box=None, header_style="dim", pad_edge=False)
    for heading in ("row", "key", "column", "A", "B"):
        table.add_column(heading)
    for row in found.rows:
        facts = [Text(row.kind, style=STYLES[row.kind]), Text(_named(row.key))]
        for number, (name, pair) in enumerate(row.columns.items() or [("", ("", ""))]):
            cells = [_cell(value) if name else Text("") for value in pair]
            table.add_row(*(facts if number == 0 else ["", ""]), name, *cells)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.counts.items())
    left_out = sum(found.counts.values()) - len(found.rows)
    return Group(table, Text(counts + (f"; {left_out:,} of them not shown" if left_out else ""), style="dim"))


def _what(event: RowEvent) -> str:
    if event.moved_to is not None:
        return f"key became {_named(event.moved_to)}"
    if event.moved_from is not None:
        return f"key was {_named(event.moved_from)}"
    left_out = f", {', '.join(event.unknown)} unknown" if event.unknown else ""
    return OPS[event.op] + left_out


def _named(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in key.items())


def _cell(value: Any) -> Text:
    plain = shown(value)
    if plain is None:
        return Text("null", style="dim")
    text = plain if isinstance(plain, str) else json.dumps(plain)
    return Text(text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…")
