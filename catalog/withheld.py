"""Columns whose values the lake must not have, as `lake add --exclude` and `--mask` noted them in the state folder.

Debezium leaves them out of its events, so that Kafka does not hold them either; copies and verification do not read
them. A rule names its column's attribute number too: renamed, the column stops its table rather than being told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from catalog.settings import Settings

FILE_NAME = "withheld.json"


@dataclass(frozen=True)
class Rule:
    """`exclude`: the lake has no such column; `null`: it has one that is always null."""

    manner: Literal["exclude", "null"]
    attnum: int


Withheld = Mapping[str, Mapping[str, Rule]]
"""Rules by `schema.table` and column."""


def read_withheld(settings: Settings) -> Withheld:
    """Every rule there is."""
    try:
        found = json.loads(_path(settings).read_text())
    except FileNotFoundError:
        return {}
    return {table: {column: Rule(**rule) for column, rule in rules.items()} for table, rules in found.items()}


def withhold(settings: Settings, table: str, rules: Mapping[str, Rule]) -> None:
    """Note a table's rules instead of those that it had; none forgets them."""
    every = {**read_withheld(settings), table: rules}
    partial = _path(settings).with_suffix(".partial")
    named = {name: {column: asdict(rule) for column, rule in mine.items()} for name, mine in every.items() if mine}
    partial.write_text(json.dumps(named, indent=1))
    partial.rename(_path(settings))


def _path(settings: Settings) -> Path:
    return settings.state_dir / FILE_NAME
