"""The published tables, read from Postgres' own catalog; what cannot be mirrored is refused with its reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import psycopg

from catalog.errors import SourceError, UnsupportedTypeError
from catalog.options import NAMESPACE, PLAIN, Options, Rule, TableOptions
from catalog.pseudonyms import pseudonym_length
from catalog.source import PUBLISHED_INSIDE, SourceColumn, SourceTable

_NAME = re.compile(r"[A-Za-z0-9_]+")
_IDENTITIES = ("d", "f")
"""`pg_class.relreplident`: the primary key or the whole row; not that of another index, and not nothing."""
_IN_PATHS = ".`"
"""Dots separate the parts of a column's path in Iceberg, backticks quote them in Spark."""

_TABLES = """
select n.nspname, c.relname, (
    with recursive part as (
        select c.oid, c.relkind, c.relreplident
        union all
        select child.oid, child.relkind, child.relreplident
        from part join pg_inherits i on i.inhparent = part.oid join pg_class child on child.oid = i.inhrelid
        where part.relkind = 'p'
    )
    select case when bool_and(relreplident = 'f') then 'f' when bool_and(relreplident in ('d', 'f')) then 'd'
        else 'n' end from part
), coalesce((select indimmediate from pg_index where indrelid = c.oid and indisprimary), true),
    c.oid::bigint, coalesce(pg_relation_filenode(c.oid), 0)::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where (
    (n.nspname, c.relname) in (select schemaname, tablename from pg_publication_tables where pubname = %(publication)s)
    or (c.relkind in ('r', 'p') and n.nspname || '.' || c.relname = any(%(leaving)s))
) and not (n.nspname = 'public' and c.relname = any(%(inside)s))
order by 1, 2
"""

_COLUMNS = """
with recursive resolved as (
    select a.attnum, a.attname, a.attnotnull, a.atttypid as type_id, a.atttypmod as modifier,
        case when a.atthasmissing then 'old rows' when a.atthasdef or a.attidentity <> '' then 'new rows' else '' end
            as given
    from pg_attribute a
    where a.attrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
      and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    union all
    select r.attnum, r.attname, r.attnotnull, t.typbasetype, t.typtypmod, r.given
    from resolved r join pg_type t on t.oid = r.type_id where t.typtype = 'd'
)
select r.attname, r.attnum, format_type(r.type_id, r.modifier), coalesce(e.typtype, t.typtype) = 'e', r.attnotnull,
    r.given
from resolved r join pg_type t on t.oid = r.type_id
left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where t.typtype <> 'd'
order by r.attnum
"""

_KEY = """
select a.attname
from pg_index i
cross join lateral unnest(i.indkey::int[]) with ordinality as k (attnum, place)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indisprimary and i.indrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
order by k.place
"""


def read_source_tables(
    connection: psycopg.Connection[Any],
    publication: str,
    refused: dict[str, SourceError] | None = None,
    *,
    options: Options | None = None,
    leaving: Collection[str] = (),
) -> tuple[SourceTable, ...]:
    """Every table of the publication but the service tables, by name. Raises SourceError when there is none.

    A table that cannot be mirrored raises SourceError too, or is put into `refused` by its name and left out.
    `options` are those that tables joined with; tables `leaving` (`schema.table`) count as published.
    """
    asked = {"publication": publication, "inside": list(PUBLISHED_INSIDE), "leaving": list(leaving)}
    found = connection.execute(_TABLES, asked).fetchall()
    if not found:
        raise SourceError(
            f"publication {publication} of database {connection.info.dbname} has no tables",
            remedy="scripts/setup-connectors.sh creates the example's; CREATE PUBLICATION … FOR TABLE … your own",
        )
    tables: list[SourceTable] = []
    taken = {f"{NAMESPACE}.quarantine": "the lake's quarantine"}
    for schema, name, *facts in found:
        try:
            table = _read_table(connection, schema, name, (options or {}).get(f"{schema}.{name}", PLAIN), *facts)
            take_names(table, taken)
            tables.append(table)
        except SourceError as reason:
            if refused is None:
                raise
            refused[f"{schema}.{name}"] = reason
    return tuple(tables)


def read_columns(connection: psycopg.Connection[Any], schema: str, name: str) -> tuple[SourceColumn, ...]:
    """The columns that logical decoding tells, in order: all but generated ones; domains are resolved."""
    rows = connection.execute(_COLUMNS, {"schema": schema, "table": name}).fetchall()
    return tuple(SourceColumn(*row) for row in rows)


def read_key(connection: psycopg.Connection[Any], schema: str, name: str) -> tuple[str, ...]:
    """The primary key's column names in key order; empty without one."""
    return tuple(row[0] for row in connection.execute(_KEY, {"schema": schema, "table": name}).fetchall())


def _read_table(
    connection: psycopg.Connection[Any],
    schema: str,
    name: str,
    options: TableOptions,
    identity: str,
    immediate: bool,
    oid: int,
    file: int,
) -> SourceTable:
    columns, key = read_columns(connection, schema, name), read_key(connection, schema, name)
    columns = without_withheld(f"{schema}.{name}", columns, options.columns)
    if not key and not options.append_only:
        raise SourceError(
            f"table {schema}.{name} has no primary key, so its rows cannot be told apart",
            remedy=f"ALTER TABLE {schema}.{name} ADD PRIMARY KEY (…); lake add {schema}.{name} --append-only if it is a"
            " log; or take it out of the publication",
        )
    if not immediate:
        raise SourceError(
            f"table {schema}.{name} has a deferrable primary key: two rows may have one key for a while, and the events"
            " of rows that swap theirs do not tell which of them goes",
            remedy=f"make the primary key of {schema}.{name} NOT DEFERRABLE, or take it out of the publication",
        )
    if identity not in _IDENTITIES:
        raise SourceError(
            f"table {schema}.{name} has a replica identity without its primary key, so deletes cannot name their rows",
            remedy=f"ALTER TABLE {schema}.{name} REPLICA IDENTITY FULL",
        )
    require_names(schema, name, columns)
    for column in columns:
        _require_type(column, f"{schema}.{name}")
    return SourceTable(schema, name, columns, key, identity == "f", oid=oid, file=file, namespace=options.namespace)


def take_names(table: SourceTable, taken: dict[str, str]) -> None:
    """Note the names of its two tables in the lake in `taken`, whose they are; whatever its case, none is had twice.

    Raises SourceError.
    """
    names = [name.lower() for name in (table.mirror, table.changelog)]
    for name in names:
        if name in taken:
            raise SourceError(
                f"table {table.qualified} would be {name} in the lake, which is that of {taken[name]}",
                remedy=f"ALTER TABLE {table.qualified} RENAME TO …, or take it out of the publication",
            )
    taken |= dict.fromkeys(names, table.qualified)


def require_names(schema: str, name: str, columns: tuple[SourceColumn, ...]) -> None:
    """Refuse names that would change on the way: Kafka's are plain, Iceberg's engines tell no columns apart by case.

    Raises SourceError.
    """
    if not _NAME.fullmatch(schema + name):
        raise SourceError(
            f"table {schema}.{name} has a name with other characters than letters of ASCII, digits and _",
            remedy=f"ALTER TABLE … RENAME TO …, or take {schema}.{name} out of the publication",
        )
    known: dict[str, str] = {}
    for column in columns:
        if (other := known.setdefault(column.name.lower(), column.name)) != column.name:
            raise SourceError(
                f"columns {other} and {column.name} of {schema}.{name} differ by case alone, which SQL engines cannot",
                remedy=f"ALTER TABLE {schema}.{name} RENAME COLUMN …",
            )
        if set(column.name) & set(_IN_PATHS):
            raise SourceError(
                f"column {column.name} of {schema}.{name} has a dot or a backtick in its name",
                remedy=f"ALTER TABLE {schema}.{name} RENAME COLUMN …",
            )


def without_withheld(
    table: str, columns: tuple[SourceColumn, ...], withheld: Mapping[str, Rule]
) -> tuple[SourceColumn, ...]:
    """The columns that the lake has. Raises SourceError for a withheld one that would be told as it is now."""
    numbers = {rule.attnum: name for name, rule in withheld.items()}
    for column in columns:
        if column.attnum in numbers and column.name not in withheld:
            raise SourceError(
                f"column {table}.{numbers[column.attnum]}, which the lake must not have, was renamed to {column.name}",
                remedy=f"name it {numbers[column.attnum]} again; or lake remove {table} --drop, then lake add {table}"
                f" --exclude {column.name}",
            )
    return tuple(
        _withheld(table, column, withheld.get(column.name)) for column in columns if not _excluded(column, withheld)
    )


def _excluded(column: SourceColumn, withheld: Mapping[str, Rule]) -> bool:
    return column.name in withheld and withheld[column.name].manner == "exclude"


def _withheld(table: str, column: SourceColumn, rule: Rule | None) -> SourceColumn:
    if rule is None:
        return column
    if rule.manner == "null":
        return replace(column, masked=True)
    return replace(column, sign=rule.sign[: pseudonym_length(f"{table}.{column.name}", column.postgres)])


def _require_type(column: SourceColumn, table: str) -> None:
    try:
        assert column.type
    except UnsupportedTypeError as unsupported:
        raise UnsupportedTypeError(
            f"column {table}.{column.name}: {unsupported.args[0]}", remedy=unsupported.remedy
        ) from unsupported
