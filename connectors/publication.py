"""A table put into the publication, or taken out of it, while others write.

A table joins in one transaction that first waits until no writer holds it, so that a transaction wrote to it either
before (and whoever copies the table later sees its rows) or after (and the WAL tells them). It waits for a moment at
a time, because everybody else queues behind a waiting lock, and tries again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from catalog.errors import SourceError
from catalog.settings import Settings
from connectors.source import REPLICATION_ROLE, connected
from connectors.survey import Relation

LOCK_MILLISECONDS = 800
"""Below the second after which Postgres looks for deadlocks: it is never a writer that is ended."""
PAUSE_SECONDS = 1.0
_HOLDERS = """
select string_agg(distinct l.pid::text, ', ') from pg_locks l
where l.granted and l.pid <> pg_backend_pid() and l.mode <> 'AccessShareLock'
    and l.relation = any(%s::text[]::regclass[])
"""

_READABLE = """
select has_schema_privilege(%(role)s, %(schema)s, 'usage') and has_table_privilege(%(role)s, %(table)s, 'select')
"""


class _NotOwnerError(SourceError):
    """Only the table's owner may run the statements."""


Connection = psycopg.Connection[tuple[Any, ...]]


def publish(settings: Settings, relation: Relation, seconds: float, say: Callable[[str], None]) -> None:
    """Let the replication role read the table, set replica identity FULL and publish it; harmless when all is so.

    Raises SourceError when writers held the table for `seconds`, or with the SQL that its owner has to run.
    """
    if not relation.is_readable:
        _let_read(settings, relation)
    place, statements = sql.Identifier(relation.schema, relation.name), []
    for part in relation.without_full_identity:
        statements.append(sql.SQL("alter table {} replica identity full").format(sql.Identifier(*part)))
    if not relation.is_published:
        publication = sql.Identifier(settings.publication)
        statements.append(sql.SQL("alter publication {} add table {}").format(publication, place))
    # One that is weaker would have to be raised for the identity, and two that raise theirs wait for each other.
    mode: LiteralString = "access exclusive" if relation.without_full_identity else "share row exclusive"
    locked = sql.SQL("lock table {} in " + mode + " mode").format(place)
    parts = [(relation.schema, relation.name), *relation.without_full_identity]
    try:
        _in_turn(settings, parts, [locked, *statements], seconds, say)
    except _NotOwnerError:
        if statements:  # otherwise its owner did all of it, under the lock that the remedy told of
            raise


def _let_read(settings: Settings, relation: Relation) -> None:
    """Grant what the replication role lacks. A grant of what one does not own may be passed over with a warning."""
    place, role = sql.Identifier(relation.schema, relation.name), sql.Identifier(REPLICATION_ROLE)
    grants = sql.SQL("grant usage on schema {} to {}; grant select on {} to {}").format(
        sql.Identifier(relation.schema), role, place, role
    )
    with connected(settings, "taxi") as connection:
        with suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute(grants)
        asked = {"role": REPLICATION_ROLE, "schema": relation.schema, "table": place.as_string()}
        given = connection.execute(_READABLE, asked).fetchone()
    if given is None or not given[0]:
        raise SourceError(
            f"role {REPLICATION_ROLE} may not read {relation.qualified}, and we may not grant it",
            remedy=f"as its owner, {relation.owner}, run: {grants.as_string()}; then this command again",
        )


def withdraw(settings: Settings, schema: str, name: str, seconds: float, say: Callable[[str], None]) -> None:
    """Take a table out of the publication. Raises SourceError as `publish` does."""
    place, publication = sql.Identifier(schema, name), sql.Identifier(settings.publication)
    statement = sql.SQL("alter publication {} drop table {}").format(publication, place)
    _in_turn(settings, [(schema, name)], [statement], seconds, say)


def _in_turn(
    settings: Settings,
    parts: Sequence[Sequence[str]],
    statements: Sequence[sql.Composed],
    seconds: float,
    say: Callable[[str], None],
) -> None:
    """Run the statements in one transaction, again as long as others hold the table, which comes first, or a part."""
    deadline, name = time.monotonic() + seconds, ".".join(parts[0])
    with connected(settings, "taxi") as connection:
        while not _tried(connection, name, statements):
            places = [sql.Identifier(*part).as_string() for part in parts]
            holders = connection.execute(_HOLDERS, [places]).fetchone()
            held_by = f"sessions {holders[0]}" if holders and holders[0] else "other sessions"
            say(f"{name}: waiting for {held_by}")
            if time.monotonic() > deadline:
                raise SourceError(
                    f"{name} is held by {held_by}: no moment without a writer in {seconds:.0f} s",
                    remedy="wait for them, or select pg_terminate_backend(pid); then run the command again",
                )
            time.sleep(PAUSE_SECONDS)


def _tried(connection: Connection, name: str, statements: Sequence[sql.Composed]) -> bool:
    """False when somebody held the table for `LOCK_MILLISECONDS`."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_MILLISECONDS)))
            for statement in statements:
                connection.execute(statement)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return False
    except psycopg.errors.InsufficientPrivilege as refused:
        script = "; ".join(statement.as_string(connection) for statement in statements)
        raise _NotOwnerError(
            f"{name}: {refused.diag.message_primary}",
            remedy=f"as the owner run: begin; {script}; commit; then this command again",
        ) from refused
    return True
