"""Whether a source table can be mirrored, what keeps it out and the SQL that mends it. Pure functions of a survey."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from psycopg import sql

from catalog.errors import UnsupportedTypeError
from catalog.finding import Finding, State
from catalog.source import NAMESPACE
from connectors.survey import Relation

COPIED_ROWS_PER_SECOND = 60_000
COPIED_BYTES_PER_SECOND = 10 << 20
"""As a resync, which copies alike, took 10.5 s for 650,990 trips of 20 columns and some 180 bytes, on two cores that
streamed other tables meanwhile. Whichever takes longer is told."""
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


def not_a_table(relation: Relation) -> str | None:
    """What it is instead, when it is no table whose changes Postgres decodes."""
    return _KINDS.get(relation.kind)


def obstacles(relation: Relation, clashing: dict[str, str], reader: str) -> Iterator[Finding]:
    """Why a table cannot join as it is. `clashing` is what `clashes` found, `reader` the role that is to read it."""
    place, name = _quoted(relation), relation.qualified
    if what := not_a_table(relation):
        yield Finding(name, "fail", f"{what}, whose rows no WAL tells", "-- mirror the tables that it reads")
        return
    if not _NAME.fullmatch(relation.schema) or not _NAME.fullmatch(relation.name):
        mend = f"ALTER TABLE {place} RENAME TO …;  -- lower-case letters, digits and _"
        yield Finding(name, "fail", "its name is none that every engine of the lake and Kafka can write", mend)
    if name in clashing:
        mend = f"ALTER TABLE {place} RENAME TO …;"
        yield Finding(name, "fail", f"its mirror would be {clashing[name]}, which is another's", mend)
    if relation.is_unlogged:
        yield Finding(name, "fail", "unlogged: its changes are not in the WAL", f"ALTER TABLE {place} SET LOGGED;")
    if relation.has_heirs:
        mend = f"-- make it a partitioned table, or add the inheriting tables alone and not {place}"
        yield Finding(
            name, "fail", "other tables inherit from it: reading it shows their rows, its changes do not", mend
        )
    if relation.hides_rows:
        mend = f"ALTER ROLE {sql.Identifier(reader).as_string()} BYPASSRLS;"
        yield Finding(name, "fail", f"row security hides rows from {reader}", mend)
    if relation.is_open:
        yield from _key(relation, place)
        yield from _types(relation, place)


def clashes(relations: Sequence[Relation]) -> dict[str, str]:
    """By `schema.table`, the lake's table that another source table, a changelog or the quarantine has the name of.

    What is published has the older right.
    """
    taken: dict[str, str] = {f"{NAMESPACE}.quarantine": ""}
    found = {}
    for relation in sorted(relations, key=lambda each: not each.is_published):
        mine = (relation.source.mirror, relation.source.changelog)
        if clash := next((name for name in mine if name in taken), None):
            found[relation.qualified] = clash
        taken |= dict.fromkeys(mine, relation.qualified)
    return found


def _key(relation: Relation, place: str) -> Iterator[Finding]:
    name = relation.qualified
    if lacking := [column for column in relation.key if column in relation.generated]:
        mend = f"-- a primary key of {place} without {', '.join(lacking)}"
        yield Finding(
            name, "fail", f"its key holds {', '.join(lacking)}, generated, which logical decoding leaves out", mend
        )
    if relation.key or relation.append_only:
        return
    if relation.unique_index and relation.kind == "r":
        index = sql.Identifier(relation.unique_index).as_string()
        mend = f"ALTER TABLE {place} ADD PRIMARY KEY USING INDEX {index};"
    elif relation.unique_columns:
        columns = ", ".join(sql.Identifier(column).as_string() for column in relation.unique_columns)
        mend = f"ALTER TABLE {place} ADD PRIMARY KEY ({columns});  -- builds an index under an exclusive lock"
    else:
        mend = (
            f"ALTER TABLE {place} ADD PRIMARY KEY (…);  -- or, rewriting the table under an exclusive lock:\n"
            f"ALTER TABLE {place} ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;"
        )
    mend += f"\n-- or, for a log whose rows are only added: lake add {name} --append-only"
    yield Finding(name, "fail", "no primary key, so its rows cannot be told apart", mend)


def _types(relation: Relation, place: str) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for column in relation.columns:
        quoted = sql.Identifier(column.name).as_string()
        if (other := seen.setdefault(column.name.lower(), column.name)) != column.name:
            mend = f"ALTER TABLE {place} RENAME COLUMN {quoted} TO …;"
            yield Finding(relation.qualified, "fail", f"columns {other} and {column.name} differ by case alone", mend)
        try:
            assert column.type
        except UnsupportedTypeError as unsupported:
            mend = (
                f"ALTER TABLE {place} ALTER COLUMN {quoted} TYPE text USING {quoted}::text;  -- or leave the table out"
            )
            yield Finding(relation.qualified, "fail", f"column {column.name}: {unsupported.args[0]}", mend)


def advice(relation: Relation, reader: str) -> Iterator[Finding]:
    """What should be known of a table, or is done when it joins."""
    name, state = relation.qualified, _blocking(relation)
    if not relation.is_readable:
        schema, role = sql.Identifier(relation.schema).as_string(), sql.Identifier(reader).as_string()
        mend = f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {_quoted(relation)} TO {role};"
        yield Finding(name, state, f"{reader} may not read it", mend)
    mend = "\n".join(
        f"ALTER TABLE {sql.Identifier(*part).as_string()} REPLICA IDENTITY FULL;"
        for part in relation.without_full_identity
    )
    if "n" in relation.identities:
        yield Finding(name, state, "replica identity NOTHING: published, it refuses updates and deletes", mend)
    elif relation.without_full_identity and relation.is_toastable:
        what = "without replica identity FULL an update leaves out large values that it did not touch"
        yield Finding(name, "warn", what, mend)
    if relation.kind == "p":
        what = "a partition made later has replica identity DEFAULT: lake add it again, or set FULL when it is made"
        yield Finding(name, "ok", what)
    if relation.generated:
        columns = ", ".join(relation.generated)
        yield Finding(name, "warn", f"generated columns are not mirrored, logical decoding leaves them out: {columns}")


def _blocking(relation: Relation) -> State:
    """`lake add` grants and sets the identity; a table that is published already lacks them now."""
    return "fail" if relation.is_published else "warn"


def measure(relation: Relation) -> str:
    """How large it is and how long its copy takes, in words."""
    rows = "rows unknown, never analyzed" if relation.rows is None else f"about {relation.rows:,} rows"
    published = "published" if relation.is_published else "not published"
    size, seconds = f"{relation.bytes / (1 << 20):,.1f} MiB", duration(copy_seconds(relation))
    return f"{published}; {rows}, {size}; copied in about {seconds}"


def copy_seconds(relation: Relation) -> float:
    """An estimate of how long its copy takes."""
    return max((relation.rows or 0) / COPIED_ROWS_PER_SECOND, relation.bytes / COPIED_BYTES_PER_SECOND)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def _quoted(relation: Relation) -> str:
    return sql.Identifier(relation.schema, relation.name).as_string()
