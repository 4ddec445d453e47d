"""What anybody's Postgres looks like to change data capture: read from its catalogs, in one read-only transaction.

Nothing is locked but for a moment to be read, nothing is written, and whoever holds a table up ends the survey after
`LOCK_SECONDS` instead of being waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

from catalog.errors import ComponentError, ConfigurationError, SourceError
from catalog.options import NAMESPACE
from catalog.published import read_columns, read_key
from catalog.source import PUBLISHED_INSIDE, SourceColumn, SourceTable

SQL = Path(__file__).parent / "sql"
LOCK_SECONDS = 2
STATEMENT_SECONDS = 60
OPTIONS = f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s"


@dataclass(frozen=True)
class Server:
    """The server, the database, and what `role` may do, which is to read.

    `own_slot` says how our slot's WAL is, None without a slot.
    """

    version: str
    version_number: int
    wal_level: str
    is_standby: bool
    encoding: str
    slots: int
    slots_used: int
    own_slot: str | None
    senders: int
    senders_used: int
    role: str
    may_replicate: bool
    database: str
    has_service_tables: bool


@dataclass(frozen=True)
class Publication:
    """The publication: whether it tells every operation, partitions as their root, and how many tables."""

    owner: str
    all_operations: bool
    via_root: bool
    tables: int


@dataclass(frozen=True)
class Writer:
    """A session that holds a table's lock; `seconds` is its transaction's age, None where that is hidden."""

    pid: int
    role: str
    state: str
    seconds: float | None
    tables: list[str]


@dataclass(frozen=True)
class Relation:
    """A table or what looks like one, of kind `pg_class.relkind`.

    `is_open` says that this role may look into its schema, otherwise columns and key are unknown; `is_readable` that
    the role that is to read it may. `rows` is an estimate, None before the first ANALYZE; `without_full_identity`
    names the parts, schema and name, that lack it: the table itself or partitions. `unique_columns` might be its key;
    `unique_index` names their index unless a constraint has it. `append_only` and `namespace` are what it is asked to
    be.
    """

    schema: str
    name: str
    kind: str
    is_unlogged: bool
    is_open: bool
    is_readable: bool
    owner: str
    hides_rows: bool
    is_published: bool
    has_heirs: bool
    rows: int | None
    bytes: int
    identities: list[str]
    without_full_identity: list[list[str]]
    is_toastable: bool
    generated: list[str]
    unique_columns: list[str] | None
    unique_index: str | None
    columns: tuple[SourceColumn, ...] = ()
    key: tuple[str, ...] = ()
    append_only: bool = False
    namespace: str = NAMESPACE

    @property
    def qualified(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.name}"

    @property
    def source(self) -> SourceTable:
        """The same as the stream would see it."""
        full = not self.without_full_identity
        return SourceTable(self.schema, self.name, self.columns, self.key, full, namespace=self.namespace)


@dataclass(frozen=True)
class Survey:
    """Everything that was seen. `publication` is None when there is none of that name."""

    server: Server
    publication: Publication | None
    relations: tuple[Relation, ...]
    writers: tuple[Writer, ...]


def survey(dsn: str, publication: str, slot: str, reader: str | None = None) -> Survey:
    """Look at a database; `reader` is the role that is to replicate and read, the DSN's own when None.

    Raises ConfigurationError for a DSN that is none, ComponentError, SourceError; no message holds a password.
    """
    try:
        connection = psycopg.connect(dsn, connect_timeout=10, application_name="lake doctor", options=OPTIONS)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "the DSN is neither a URL (postgresql://role@host:port/database) nor key=value pairs",
            remedy="give the password by PGPASSWORD or ~/.pgpass rather than on a command line",
        ) from None
    except psycopg.OperationalError as refused:
        raise ComponentError(
            f"Postgres does not let us in: {str(refused).strip()}",
            remedy="check host, port, database and role; the password may come from PGPASSWORD or ~/.pgpass",
        ) from None
    with connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        try:
            names = {"publication": publication, "slot": slot, "reader": reader or connection.info.user}
            return _read(connection, names)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as held_up:
            raise SourceError(
                f"the catalogs were not readable in time: {held_up.diag.message_primary}",
                remedy="a session holds a table (select * from pg_locks where mode = 'AccessExclusiveLock'):"
                " try again when it has ended",
            ) from held_up


def matching(relations: Sequence[Relation], patterns: Sequence[str]) -> list[Relation]:
    """The relations that any of the patterns names, `table`, `schema.table` or with `*`; service tables left out."""
    wanted = [pattern if "." in pattern else f"public.{pattern}" for pattern in patterns]
    service = {f"public.{name}" for name in PUBLISHED_INSIDE}
    return [
        relation
        for relation in relations
        if relation.qualified not in service and any(fnmatchcase(relation.qualified, pattern) for pattern in wanted)
    ]


def _read(connection: psycopg.Connection[Any], names: dict[str, str]) -> Survey:
    def rows(kind: type[Any], file: str) -> list[Any]:
        with connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute((SQL / f"survey_{file}.sql").read_bytes(), names).fetchall()

    relations = []
    for relation in rows(Relation, "tables"):
        columns: dict[str, Any] = {}
        if relation.kind in "rp" and relation.is_open:
            place = (connection, relation.schema, relation.name)
            columns = {"columns": read_columns(*place), "key": read_key(*place)}
        relations.append(Relation(**{**relation.__dict__, **columns}))
    publications = rows(Publication, "publication")
    (server,) = rows(Server, "server")
    found = publications[0] if publications else None
    return Survey(server, found, tuple(relations), tuple(rows(Writer, "writers")))
