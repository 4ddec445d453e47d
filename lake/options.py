"""What `lake add` is asked of joining tables: columns that the lake must not have, rows that are only added."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from catalog.errors import ConfigurationError
from catalog.options import NAMESPACE, PLAIN, Manner, Options, Rule, TableOptions, read_options, sign_of
from catalog.partition import Partition
from catalog.published import without_withheld
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import SourceTable, named
from catalog.tables import TABLES

if TYPE_CHECKING:
    from connectors.survey import Relation

_TAKEN = {*(table.namespace for table in TABLES), "bench", "public"}
"""The lake's own, the one that `lake bench` drops, and the source's schema that nobody has to name."""


@dataclass(frozen=True)
class Wishes:
    """`columns` are withheld of every table that has them; `append_only` is for tables without a key, `partition` for
    those that have its column, `namespace` for all.
    """

    columns: Mapping[str, Manner]
    append_only: bool = False
    partition: str = ""
    namespace: str = NAMESPACE


def wishes(
    exclude: Sequence[str],
    mask: Sequence[str],
    *,
    append_only: bool = False,
    partition: str = "",
    namespace: str = NAMESPACE,
) -> Wishes:
    """What the options ask for. Raises ConfigurationError for a mask, a partition or a namespace that is none."""
    found: dict[str, Manner] = dict.fromkeys(exclude, "exclude")
    for each in mask:
        column, _, manner = each.rpartition("=")
        if not column or manner not in ("null", "hash"):
            raise ConfigurationError(
                f"--mask {each} is no mask",
                remedy="--mask COLUMN=null: the column is there and always null; COLUMN=hash: it holds pseudonyms",
            )
        found[column] = cast(Manner, manner)
    if partition and found.get(Partition.parse(partition).column, "hash") != "hash":
        raise ConfigurationError(
            f"--partition {partition}: the lake is not to have the values of this column",
            remedy="partition by another column, or do not withhold this one",
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", namespace) or namespace in _TAKEN:
        raise ConfigurationError(
            f"--namespace {namespace} is none for mirrors",
            remedy=f"lower-case letters, digits and _; not {', '.join(sorted(_TAKEN))}",
        )
    return Wishes(found, append_only, partition, namespace)


def options_of(settings: Settings, relations: Sequence[Relation], wished: Wishes) -> Options:
    """The options of these tables: those they have, or what is wished for ones that are not in the lake yet.

    Raises ConfigurationError for a column that no table has or that is of a key, and for a table that is in the lake
    with other options: its snapshots hold the values.
    """
    noted = read_options(settings)
    asked = [*wished.columns, *([Partition.parse(wished.partition).column] if wished.partition else [])]
    if missing := [column for column in asked if not any(column in _numbers(each) for each in relations)]:
        raise ConfigurationError(
            f"none of these tables has a column {missing[0]}", remedy="correct its name, or add the table that has it"
        )
    options = {}
    for relation in relations:
        mine, known = _wished(settings, relation, wished), noted.get(relation.qualified, PLAIN)
        if mine not in (PLAIN, known):
            _require_new(settings, named(noted, relation.schema, relation.name))
        if keys := mine.columns.keys() & set(relation.key):
            raise ConfigurationError(
                f"{relation.qualified}: {', '.join(sorted(keys))} tells its rows apart, and Debezium masks no keys",
                remedy="give the table a key that may be known, or leave it out",
            )
        options[relation.qualified] = known if mine == PLAIN else mine
    return options


def as_asked(relations: Sequence[Relation], options: Options) -> tuple[Relation, ...]:
    """Relations as the lake is to have them. Raises SourceError for a withheld column that would be told."""
    return tuple(_as_asked(each, options[each.qualified]) if each.qualified in options else each for each in relations)


def _as_asked(relation: Relation, options: TableOptions) -> Relation:
    columns = without_withheld(relation.qualified, relation.columns, options.columns)
    return replace(relation, columns=columns, append_only=options.append_only, namespace=options.namespace)


def _wished(settings: Settings, relation: Relation, wished: Wishes) -> TableOptions:
    numbers = _numbers(relation)
    rules = {
        column: Rule(manner, numbers[column], sign_of(settings) if manner == "hash" else "")
        for column, manner in wished.columns.items()
        if column in numbers
    }
    is_log = wished.append_only and relation.is_open and not relation.key
    return TableOptions(rules, is_log, _partition(relation, wished.partition), wished.namespace)


def _partition(relation: Relation, wished: str) -> str:
    """What is wished for, where the table has the column. Raises ConfigurationError for a type that does not suit."""
    if not wished:
        return ""
    partition = Partition.parse(wished)
    for column in relation.columns:
        if column.name == partition.column and not partition.suits(column.type):
            raise ConfigurationError(
                f"{relation.qualified}: {column.name} is {column.postgres}, which --partition {wished} does not suit",
                remedy="year, month, day, hour take times; a value itself is a whole number, date, text or boolean",
            )
    return wished if partition.column in _numbers(relation) else ""


def _numbers(relation: Relation) -> dict[str, int]:
    return {column.name: column.attnum for column in relation.columns}


def _require_new(settings: Settings, source: SourceTable) -> None:
    from connectors.registration import captured_tables

    in_lake = iceberg_catalog(settings).table_exists(source.mirror)
    if in_lake or source.qualified in captured_tables(settings):
        raise ConfigurationError(
            f"{source.qualified} is in the lake with other options, and its snapshots and events hold their values",
            remedy=f"lake remove {source.qualified} --drop; then this command again",
        )
