"""What `lake add --exclude` and `--mask` ask for: which columns of joining tables the lake must not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from catalog.errors import ConfigurationError
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import without_withheld
from catalog.withheld import Manner, Rule, Withheld, read_withheld, sign_of

if TYPE_CHECKING:
    from connectors.survey import Relation

Wishes = dict[str, Manner]
"""By column, of every table that has it."""


def wishes(exclude: Sequence[str], mask: Sequence[str]) -> Wishes:
    """What the options ask for. Raises ConfigurationError for a mask that is none."""
    found: Wishes = dict.fromkeys(exclude, "exclude")
    for each in mask:
        column, _, manner = each.rpartition("=")
        if not column or manner not in ("null", "hash"):
            raise ConfigurationError(
                f"--mask {each} is no mask",
                remedy="--mask COLUMN=null: the column is there and always null; COLUMN=hash: it holds pseudonyms",
            )
        found[column] = cast(Manner, manner)
    return found


def withheld_of(settings: Settings, relations: Sequence[Relation], wished: Wishes) -> Withheld:
    """The rules of these tables: those they have, or what is wished for ones that are not in the lake yet.

    Raises ConfigurationError for a column that no table has or that is of a key, and for a table that is in the lake
    with other rules: its snapshots hold the values.
    """
    noted = read_withheld(settings)
    if missing := [column for column in wished if not any(column in _numbers(each) for each in relations)]:
        raise ConfigurationError(f"none of these tables has a column {missing[0]} that could be withheld")
    rules = {}
    for relation in relations:
        numbers = _numbers(relation)
        mine = {
            column: _rule(settings, manner, numbers[column]) for column, manner in wished.items() if column in numbers
        }
        known = noted.get(relation.qualified, {})
        if mine and mine != known:
            _require_new(settings, relation)
        if keys := mine.keys() & set(relation.key):
            raise ConfigurationError(
                f"{relation.qualified}: {', '.join(sorted(keys))} tells its rows apart, and Debezium masks no keys",
                remedy="give the table a key that may be known, or leave it out",
            )
        rules[relation.qualified] = mine or known
    return rules


def kept(relations: Sequence[Relation], withheld: Withheld) -> tuple[Relation, ...]:
    """Relations without what is withheld of them. Raises SourceError for a withheld column that was renamed."""
    return tuple(
        replace(each, columns=without_withheld(each.qualified, each.columns, withheld[each.qualified]))
        if withheld.get(each.qualified)
        else each
        for each in relations
    )


def _rule(settings: Settings, manner: Manner, attnum: int) -> Rule:
    return Rule(manner, attnum, sign_of(settings) if manner == "hash" else "")


def _numbers(relation: Relation) -> dict[str, int]:
    return {column.name: column.attnum for column in relation.columns}


def _require_new(settings: Settings, relation: Relation) -> None:
    from connectors.registration import captured_tables

    in_lake = iceberg_catalog(settings).table_exists(relation.source.mirror)
    if in_lake or relation.qualified in captured_tables(settings):
        raise ConfigurationError(
            f"{relation.qualified} is in the lake with other columns, and its snapshots and events hold their values",
            remedy=f"lake remove {relation.qualified} --drop; then this command again",
        )
