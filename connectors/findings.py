"""What a survey of somebody's Postgres means, each finding with the SQL that mends it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from psycopg import sql

from catalog.finding import Finding
from connectors.suitability import advice, clashes, duration, measure, not_a_table, obstacles
from connectors.survey import Publication, Relation, Server, Survey, Writer

OLDEST_VERSION = 13_00_00
"""`publish_via_partition_root` came with Postgres 13."""
OPERATIONS = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"
LONG_SECONDS = 5.0
"""A transaction of this age will outlast the moment that a joining table waits for its lock."""


def findings(survey: Survey, relations: Sequence[Relation], publication: str, *, wanted: bool) -> list[Finding]:
    """Everything about the server and these relations, in the order in which a person would mend it.

    What keeps a table from joining blocks when the table is published, or `wanted`; it is a warning otherwise.
    """
    found = [*_server(survey.server), *_publication(survey, relations, publication)]
    clashing = clashes(relations)
    for relation in relations:
        if what := not_a_table(relation):
            found.append(Finding(relation.qualified, "ok", f"{what}: it is not mirrored"))
            continue
        problems = list(obstacles(relation, clashing, survey.server.role))
        if not wanted and not relation.is_published:
            problems = [replace(problem, state="warn") for problem in problems]
        measured = [] if problems else [Finding(relation.qualified, "ok", measure(relation))]
        found += [*problems, *advice(relation, survey.server.role), *measured]
    return [*found, *_writers(survey.writers)]


def _server(server: Server) -> Iterator[Finding]:
    old = server.version_number < OLDEST_VERSION
    yield Finding("version", "fail" if old else "ok", server.version, "-- Postgres 13 or newer" if old else "")
    yield _checked(
        "wal_level",
        server.wal_level == "logical",
        server.wal_level,
        "ALTER SYSTEM SET wal_level = 'logical';  -- then restart",
    )
    yield _checked("encoding", server.encoding == "UTF8", server.encoding, "-- a database of encoding UTF8")
    if server.is_standby:
        yield Finding("server", "fail", "a standby, where nothing can be published", "-- connect to the primary")
    for name, limit, used, held in (
        ("max_replication_slots", server.slots, server.slots_used, server.own_slot is not None),
        ("max_wal_senders", server.senders, server.senders_used, False),
    ):
        mend = f"ALTER SYSTEM SET {name} = {limit + 4};  -- then restart"
        yield _checked(name, held or used < limit, f"{used} of {limit} in use", mend)
    if server.own_slot is not None:
        lost = server.own_slot in ("lost", "unreserved")
        mend = "-- scripts/lake connect reset: every table is copied anew"
        yield Finding("slot", "fail" if lost else "ok", f"its WAL is {server.own_slot}", mend if lost else "")
    role = sql.Identifier(server.role).as_string()
    mend = f"ALTER ROLE {role} REPLICATION;  -- on RDS: GRANT rds_replication TO {role};"
    may = "may replicate" if server.may_replicate else "may not replicate"
    yield _checked("role", server.may_replicate, f"{server.role} {may}", mend)
    yield _checked(
        "service tables",
        server.has_service_tables,
        "public.heartbeat and public.signal"
        + (" are there" if server.has_service_tables else f" are not there, or not for {server.role}"),
        "CREATE TABLE public.heartbeat (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), nonce text);\n"
        "INSERT INTO public.heartbeat (id) VALUES (0), (1);\n"
        "CREATE TABLE public.signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data text);\n"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON public.heartbeat, public.signal TO {role};",
    )


def _publication(survey: Survey, relations: Sequence[Relation], name: str) -> Iterator[Finding]:
    publication, quoted = survey.publication, sql.Identifier(name).as_string()
    if publication is None:
        mend = f"CREATE PUBLICATION {quoted} FOR TABLE public.heartbeat, public.signal WITH ({OPERATIONS});"
        yield Finding("publication", "fail", f"there is no publication {name}", mend)
        return
    if not publication.all_operations or not _suits(publication, relations):
        what = "leaves operations out" if not publication.all_operations else "tells partitions as tables of their own"
        yield Finding("publication", "fail", f"{name} {what}", f"ALTER PUBLICATION {quoted} SET ({OPERATIONS});")
        return
    yield Finding("publication", "ok", f"{name} of {publication.owner} holds {publication.tables} tables")


def _suits(publication: Publication, relations: Sequence[Relation]) -> bool:
    return publication.via_root or not any(relation.kind == "p" for relation in relations)


def _writers(writers: Sequence[Writer]) -> Iterator[Finding]:
    for writer in writers:
        if writer.seconds is not None and writer.seconds < LONG_SECONDS:
            continue
        age = (
            "a transaction of unknown age" if writer.seconds is None else f"a transaction of {duration(writer.seconds)}"
        )
        what = f"{age} ({writer.state}) holds {', '.join(writer.tables)}, which cannot join until it ends"
        name = f"session {writer.pid} {writer.role}".strip()
        yield Finding(name, "warn", what, f"SELECT pg_terminate_backend({writer.pid});  -- or wait for it")


def _checked(name: str, is_well: bool, found: str, mend: str) -> Finding:
    return Finding(name, "ok", found) if is_well else Finding(name, "fail", found, mend)
