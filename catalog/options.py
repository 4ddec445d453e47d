"""What a table was asked to be when it joined, noted in the state folder: the one declaration of options by table.

Columns that are withheld Debezium leaves out of its events, or masks there, so that Kafka does not hold their values
either; copies and verification do not read them. A rule names its column's attribute number too: renamed, the column
stops its table rather than being told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from catalog.errors import ConfigurationError
from catalog.pseudonyms import UNCHANGED, pseudonym
from catalog.settings import Settings

FILE_NAME, EARLIER_FILE_NAME = "tables.json", "withheld.json"
NAMESPACE = "taxi_cdc"
"""Of mirrors and changelogs, unless another one was asked for."""
Manner = Literal["exclude", "null", "hash"]


@dataclass(frozen=True)
class Rule:
    """`exclude`: the lake has no such column; `null`: it has one that is always null; `hash`: it has its pseudonyms.

    `sign` is then the pseudonym of Debezium's UNCHANGED, which tells the key that they are made with.
    """

    manner: Manner
    attnum: int
    sign: str = ""


@dataclass(frozen=True)
class TableOptions:
    """Rules by withheld column; `append_only` where rows are only added, so that no key has to tell them apart;
    `partition` of the mirror, as catalog/partition.py reads it; `namespace` of mirror and changelog.
    """

    columns: Mapping[str, Rule] = field(default_factory=dict)
    append_only: bool = False
    partition: str = ""
    namespace: str = NAMESPACE

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> TableOptions:
        """Read the noted form."""
        columns = {column: Rule(**rule) for column, rule in noted["columns"].items()}
        return cls(**{**noted, "columns": columns})


PLAIN = TableOptions()
Options = Mapping[str, TableOptions]
"""By `schema.table`; none for a table that is as the source has it."""


def read_options(settings: Settings) -> Options:
    """The options of every table that has some. Raises ConfigurationError where the key of pseudonyms was changed."""
    options = {table: TableOptions.of(noted) for table, noted in _noted(settings.state_dir).items()}
    signs = {rule.sign for table in options.values() for rule in table.columns.values() if rule.sign}
    if signs - {sign_of(settings)}:
        raise ConfigurationError(
            "columns are masked by pseudonyms of another key than the present one",
            remedy="give LAKE_PSEUDONYM_KEY, or secrets.json, the key that they joined with",
        )
    return options


def sign_of(settings: Settings) -> str:
    """The pseudonym of a value that Debezium leaves out, with the present key."""
    return pseudonym(settings.secrets.pseudonym_key, UNCHANGED)


def note_options(settings: Settings, table: str, options: TableOptions) -> None:
    """Note a table's options instead of those that it had; plain ones forget them."""
    every = {**read_options(settings), table: options}
    path = settings.state_dir / FILE_NAME
    partial = path.with_suffix(".partial")
    named = {name: asdict(mine) for name, mine in every.items() if mine != PLAIN}
    partial.write_text(json.dumps(named, indent=1))
    partial.rename(path)


def _noted(folder: Path) -> dict[str, Any]:
    """A state folder from before there were other options has the rules of withheld columns, and must not tell them."""
    if (path := folder / FILE_NAME).exists():
        return dict(json.loads(path.read_text()))
    if (path := folder / EARLIER_FILE_NAME).exists():
        return {table: {"columns": rules} for table, rules in json.loads(path.read_text()).items()}
    return {}
