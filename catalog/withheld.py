"""Columns whose values the lake must not have, as `lake add --exclude` and `--mask` noted them in the state folder.

Debezium leaves them out of its events, or masks them there, so that Kafka does not hold them either; copies and
verification do not read them. A rule names its column's attribute number too: renamed, the column stops its table
rather than being told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from catalog.errors import ConfigurationError
from catalog.pseudonyms import UNCHANGED, pseudonym
from catalog.settings import Settings

FILE_NAME = "withheld.json"
Manner = Literal["exclude", "null", "hash"]


@dataclass(frozen=True)
class Rule:
    """`exclude`: the lake has no such column; `null`: it has one that is always null; `hash`: it has its pseudonyms.

    `sign` is then the pseudonym of Debezium's UNCHANGED, which tells the key that they are made with.
    """

    manner: Manner
    attnum: int
    sign: str = ""


Withheld = Mapping[str, Mapping[str, Rule]]
"""Rules by `schema.table` and column."""


def read_withheld(settings: Settings) -> Withheld:
    """Every rule there is. Raises ConfigurationError where the key of pseudonyms was changed."""
    try:
        found = json.loads(_path(settings).read_text())
    except FileNotFoundError:
        return {}
    withheld = {table: {column: Rule(**rule) for column, rule in rules.items()} for table, rules in found.items()}
    signs = {rule.sign for rules in withheld.values() for rule in rules.values() if rule.sign}
    if signs - {sign_of(settings)}:
        raise ConfigurationError(
            "columns are masked by pseudonyms of another key than the present one",
            remedy="give LAKE_PSEUDONYM_KEY, or secrets.json, the key that they joined with",
        )
    return withheld


def sign_of(settings: Settings) -> str:
    """The pseudonym of a value that Debezium leaves out, with the present key."""
    return pseudonym(settings.secrets.pseudonym_key, UNCHANGED)


def withhold(settings: Settings, table: str, rules: Mapping[str, Rule]) -> None:
    """Note a table's rules instead of those that it had; none forgets them."""
    every = {**read_withheld(settings), table: rules}
    partial = _path(settings).with_suffix(".partial")
    named = {name: {column: asdict(rule) for column, rule in mine.items()} for name, mine in every.items() if mine}
    partial.write_text(json.dumps(named, indent=1))
    partial.rename(_path(settings))


def _path(settings: Settings) -> Path:
    return settings.state_dir / FILE_NAME
