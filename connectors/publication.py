"""A table put into the publication, or taken out of it, while others write.

A table joins in one transaction that first waits until no writer holds it, so that a transaction wrote to it either
before (and whoever copies the table later sees its rows) or after (and the WAL tells them). It waits for a moment at
a time, because everybody else queues behind a waiting lock, and tries again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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

Connection = psycopg.Connection[tuple[Any, ...]]


def publish(settings: Settings, relation: Relation, seconds: float, say: Callable[[str], None]) -> None:
    """Set replica identity FULL, let the replication role read the table, and publish it; harmless when all is so.

    Raises SourceError when writers held the table for `seconds`, or with the SQL that its owner has to run.
    """
    place, schema = sql.Identifier(relation.schema, relation.name), sql.Identifier(relation.schema)
    role = sql.Identifier(REPLICATION_ROLE)
    statements = []
    if not relation.is_readable:
        statements.append(sql.SQL("grant usage on schema {} to {}").format(schema, role))
        statements.append(sql.SQL("grant select on {} to {}").format(place, role))
    for part in relation.without_full_identity:
        statements.append(sql.SQL("alter table {} replica identity full").format(sql.Identifier(*part)))
    if not relation.is_published:
        publication = sql.Identifier(settings.publication)
        statements.append(sql.SQL("alter publication {} add table {}").format(publication, place))
    # One that is weaker would have to be raised for the identity, and two that raise theirs wait for each other.
    mode: LiteralString = "access exclusive" if relation.without_full_identity else "share row exclusive"
    locked = sql.SQL("lock table {} in " + mode + " mode").format(place)
    parts = [(relation.schema, relation.name), *relation.without_full_identity]
    _in_turn(settings, parts, [locked, *statements], seconds, say)


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
        raise SourceError(
            f"{name}: {refused.diag.message_primary}",
            remedy=f"as the owner run: begin; {script}; commit; then this command again",
        ) from refused
    return True
