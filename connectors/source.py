"""The source database: roles, tables, privileges and publication, made by their owners and never by the connector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql

from catalog.errors import ComponentError, SourceError
from catalog.settings import Settings

SQL = Path(__file__).parent / "sql"
OWNER = "taxi"
REPLICATION_ROLE = "cdc"
MIRRORED = ("payment_types", "trips", "vendors")
SERVICE = ("heartbeat", "signal")
PUBLISHED = (*MIRRORED, *SERVICE)
OPERATIONS = "insert, update, delete, truncate"


def ensure_source(settings: Settings) -> None:
    """Bring roles, database, tables, privileges and publication to their wanted state; harmless when they are.

    Raises ComponentError when Postgres does not answer, SourceError when it refuses.
    """
    if settings.source_host is None or settings.postgres_password is not None:
        _ensure_roles(settings)
    with connected(settings, "taxi") as connection, connection.transaction():
        connection.execute("set local client_min_messages = warning")
        connection.execute("set local lock_timeout = '15s'")
        scripts = ("service.sql", "schema.sql", "access.sql") if settings.source_example else ("service.sql",)
        for name in scripts:
            connection.execute((SQL / name).read_bytes())
        _ensure_publication(connection, settings.publication, wanted_tables(settings))


def wanted_tables(settings: Settings) -> tuple[str, ...]:
    """The tables of schema public that are always published: the service tables, and the example's where it is made."""
    return PUBLISHED if settings.source_example else SERVICE


def _ensure_roles(settings: Settings) -> None:
    """Roles and database; `taxi` may publish and make its tables in a database that was there before."""
    with connected(settings, "postgres", "postgres") as connection:
        _require_logical_wal(connection)
        _ensure_role(connection, OWNER, settings.secrets.taxi, "login")
        _ensure_role(connection, REPLICATION_ROLE, settings.secrets.cdc, "login replication")
        _ensure_database(connection, settings.source_database)
    if not settings.source_example:
        with connected(settings, "postgres") as connection:
            rights = "grant create on database {} to {}; grant usage, create on schema public to {}"
            owner = sql.Identifier(OWNER)
            connection.execute(sql.SQL(rights).format(sql.Identifier(settings.source_database), owner, owner))


def published_tables(settings: Settings) -> list[tuple[str, str]]:
    """Schema and name of every table in the publication, in the order of the initial copy: the heartbeat's first.

    The heartbeat's two rows take the copy's `first` marker. A table that had it on its only row would have no marker
    that ends its copy, and a copy of empty tables alone would have no record at all. Left out, as the stream's status
    says, are tables whose name Kafka cannot have or whose columns differ by case alone: they would stop the connector.

    Raises SourceError when there is no publication.
    """
    with connected(settings, "taxi") as connection:
        rows = connection.execute(
            "select schemaname, tablename from pg_publication_tables join pg_namespace n on nspname = schemaname"
            " join pg_class c on relnamespace = n.oid and relname = tablename where pubname = %s"
            " and (schemaname || tablename) !~ '[^A-Za-z0-9_]' and not exists (select from pg_attribute"
            " where attrelid = c.oid and attnum > 0 and not attisdropped group by lower(attname) having count(*) > 1)"
            " order by (schemaname, tablename) = ('public', 'heartbeat') desc, schemaname, tablename",
            [settings.publication],
        ).fetchall()
    if not rows:
        raise SourceError(
            f"publication {settings.publication} of database {settings.source_database} has no tables",
            remedy="scripts/setup-connectors.sh creates it",
        )
    return [(row[0], row[1]) for row in rows]


def require_readable(settings: Settings) -> None:
    """Raise SourceError when the replication role may not read a published table.

    The connector would try the copy again and again, RUNNING to all appearances.
    """
    with connected(settings, "taxi") as connection:
        rows = connection.execute(
            "select format('%%I.%%I', schemaname, tablename) from pg_publication_tables where pubname = %s"
            " and not (has_schema_privilege(%s, schemaname, 'usage')"
            " and has_table_privilege(%s, format('%%I.%%I', schemaname, tablename), 'select')) order by 1",
            [settings.publication, REPLICATION_ROLE, REPLICATION_ROLE],
        ).fetchall()
    if rows:
        tables = ", ".join(row[0] for row in rows)
        raise SourceError(
            f"role {REPLICATION_ROLE} may not read {tables}, published in {settings.publication}",
            remedy=f"grant usage on their schema and select on {tables} to {REPLICATION_ROLE}",
        )


@contextmanager
def connected(
    settings: Settings, role: Literal["postgres", "taxi", "cdc"], database: str | None = None
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """An autocommit connection to the source; its failures become ComponentError or SourceError."""
    where = f"database {database or settings.source_database} as {role}"
    try:
        connection = psycopg.connect(
            settings.source_dsn(role, database), autocommit=True, connect_timeout=10, application_name="lake"
        )
    except psycopg.OperationalError as refused:
        raise ComponentError(
            f"Postgres does not let us into {where}: {str(refused).strip()}",
            remedy=_remedy(settings, role),
        ) from refused
    with connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise _explained(error, where) from error


def _remedy(settings: Settings, role: str) -> str:
    if settings.source_host is None:
        return "scripts/lake up starts it; scripts/lake logs postgres shows why it stopped"
    login = f"LAKE_{role.upper()}_PASSWORD"
    return f"correct LAKE_SOURCE_HOST, LAKE_SOURCE_PORT, LAKE_SOURCE_DATABASE or {login}, or make the role {role} there"


def _explained(error: psycopg.Error, where: str) -> ComponentError | SourceError:
    """A lost connection or a server that goes down, told apart from a statement that was refused."""
    lost = isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08").startswith(("08", "57P"))
    if lost:
        return ComponentError(
            f"the connection to {where} broke: {str(error).strip()}", remedy="scripts/lake status, then run it again"
        )
    return SourceError(
        f"Postgres refused a statement in {where}: {str(error).strip()}",
        remedy="mend what it names in the source database, then run the command again",
    )


def _require_logical_wal(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    row = connection.execute("show wal_level").fetchone()
    if row is None or row[0] != "logical":
        raise SourceError(
            f"wal_level of the source is {row[0] if row else 'unknown'}, change data capture needs logical",
            remedy="alter system set wal_level = logical, then restart Postgres",
        )


def _ensure_role(connection: psycopg.Connection[tuple[Any, ...]], role: str, password: str, options: str) -> None:
    """Create or alter a login role; only the SCRAM verifier of its password leaves this process."""
    exists = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("{verb} role {role} with {options} nosuperuser nocreatedb nocreaterole password {password}").format(
            verb=sql.SQL("alter" if exists else "create"),
            role=sql.Identifier(role),
            options=sql.SQL(options),
            password=sql.Literal(verifier.decode()),
        )
    )


def _ensure_database(connection: psycopg.Connection[tuple[Any, ...]], database: str) -> None:
    if connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
        return
    connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(OWNER)))


def _ensure_publication(connection: psycopg.Connection[tuple[Any, ...]], name: str, wanted: tuple[str, ...]) -> None:
    """Create the publication, or add what it lacks; tables that others added stay."""
    options = sql.SQL("(publish = {}, publish_via_partition_root = true)").format(sql.Literal(OPERATIONS))
    publication = sql.Identifier(name)
    if not connection.execute("select 1 from pg_publication where pubname = %s", [name]).fetchone():
        tables = sql.SQL(", ").join(sql.Identifier("public", table) for table in wanted)
        connection.execute(sql.SQL("create publication {} for table {} with {}").format(publication, tables, options))
        return
    connection.execute(sql.SQL("alter publication {} set {}").format(publication, options))
    present = connection.execute(
        "select tablename from pg_publication_tables where pubname = %s and schemaname = 'public'", [name]
    ).fetchall()
    for table in sorted(set(wanted) - {row[0] for row in present}):
        connection.execute(
            sql.SQL("alter publication {} add table {}").format(publication, sql.Identifier("public", table))
        )
