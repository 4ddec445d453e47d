"""The situations' tables in the source: made in a schema of their own, joined in one go, taken away afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from catalog.errors import VerificationError
from catalog.options import PLAIN, TableOptions, note_options
from catalog.readers import duckdb_connection
from catalog.removal import drop_from_lake
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.verification.barrier import pass_barrier, topic_targets
from conformance.situation import HAS_READ, Row, Situation
from connectors.inspection import list_topics
from connectors.setup import ensure_connector
from connectors.source import REPLICATION_ROLE
from connectors.topics import delete_topic
from stack.supervision import Supervisor
from streaming.requests import Request, answer, submit

Ask = Callable[[str], list[Row]]
WAIT_SECONDS = 180.0


class Scene:
    """A schema with a table per situation, on the running stack that `settings` names."""

    def __init__(self, settings: Settings, situations: Sequence[Situation]) -> None:
        self.settings, self.situations = settings, tuple(situations)
        self.schema = f"conformance_{uuid4().hex[:6]}"

    def name(self, situation: Situation) -> str:
        """`schema.table`, as the stream's status and `lake verify` have it."""
        return f"{self.schema}.{situation.table_name}"

    def source(self, situation: Situation) -> SourceTable:
        """For the names of its tables in the lake and of its topic."""
        return SourceTable(self.schema, situation.table_name, (), (), True)

    def set_up(self) -> None:
        """Make the tables, publish them and join them; those with rows are copied. Raises VerificationError."""
        with self._session() as session:
            session.execute(f"create schema {self.schema}; grant usage on schema {self.schema} to {REPLICATION_ROLE}")
        for situation in self.situations:
            note_options(self.settings, self.name(situation), TableOptions(append_only=situation.append_only))
            self.execute(situation, situation.setup)
            self.execute(situation, (f"grant select on @table to {REPLICATION_ROLE}", *situation.before))
        names = ", ".join(self._quoted(situation) for situation in self.situations)
        with self._session() as session:
            session.execute(f"alter publication {self.settings.publication} add table {names}".encode())
        ensure_connector(self.settings)
        self.resync([situation for situation in self.situations if situation.before and not situation.refused])
        until(self._all_joined, "every table joined or was refused")

    def _all_joined(self) -> bool:
        states = stream_states(self.settings)
        joining = {self.name(s): "stopped" if s.refused else "running" for s in self.situations}
        return all(states.get(name, {}).get("state") in (state, "stopped") for name, state in joining.items())

    def execute(self, situation: Situation, statements: Iterable[str]) -> None:
        """Run its statements as the source's owner; those that begin with `2:` in a second session."""
        with ExitStack() as ends:
            sessions: dict[bool, psycopg.Connection] = {}
            for statement in statements:
                second = statement.startswith("2:")
                if second not in sessions:
                    sessions[second] = ends.enter_context(self._session())
                text = statement.removeprefix("2:").replace("@table", self._quoted(situation))
                _run(sessions[second], text.replace("@schema", self.schema))

    def _session(self) -> psycopg.Connection:
        return psycopg.connect(self.settings.source_dsn("taxi"), autocommit=True)

    def _quoted(self, situation: Situation) -> str:
        return sql.Identifier(self.schema, situation.table_name).as_string()

    def state(self, situation: Situation) -> dict[str, Any]:
        """What the streaming job last said of its table."""
        return stream_states(self.settings).get(self.name(situation), {})

    def resync(self, situations: Sequence[Situation], amid: Sequence[Situation] = ()) -> None:
        """Have tables rebuilt from Postgres, and wait until they are; changes are made to some amid that.

        Raises VerificationError.
        """
        situations = [*situations, *amid]
        requests = [Request("resync", self.name(situation)) for situation in situations]
        for request in requests:
            submit(self.settings, request)
        for situation in amid:
            self.execute(situation, self._while_copied(situation))
        until(lambda: all(answer(self.settings, request) for request in requests), "the tables are copied")
        names = [self.name(situation) for situation in situations]
        until(lambda: all(self._state(name) in ("running", "stopped") for name in names), "the tables go on")

    def _while_copied(self, situation: Situation) -> Iterator[str]:
        def has_read() -> bool:
            told = self.state(situation).get("reason", "")
            return (
                bool(told.startswith(("copying,", "waiting", "copied"))) or answer(self.settings, request) is not None
            )

        request = Request("resync", self.name(situation))
        for statement in situation.during:
            if statement == HAS_READ:
                until(has_read, f"{situation.name}: its rows are read")
            else:
                yield statement

    def until_stopped(self, situation: Situation) -> str:
        """Wait until the stream stops its table; the reason. Raises VerificationError."""
        name = self.name(situation)
        until(lambda: self._state(name) == "stopped", f"{situation.name}: the table stops")
        return str(self.state(situation)["reason"])

    def until_applied(self, situation: Situation) -> str:
        """Wait until all that committed is applied, or its table stops; the reason. Raises VerificationError."""
        topic = self.source(situation).topic(self.settings.topic_prefix)
        pass_barrier(self.settings, time.monotonic() + WAIT_SECONDS)
        end = topic_targets(self.settings, [topic])[topic][0]

        def applied() -> bool:
            state = self.state(situation)
            return state.get("state") == "stopped" or state.get("position", {}).get("0", 0) >= end

        until(applied, f"{situation.name}: its changes are applied")
        return str(self.state(situation).get("reason") or "")

    def until_set_aside(self, situation: Situation) -> None:
        """Wait until the records that must be are in the quarantine. Raises VerificationError."""
        count = len(situation.set_aside)
        until(lambda: self.state(situation).get("quarantined") == count, f"{situation.name}: {count} set aside")

    def _state(self, name: str) -> str | None:
        return stream_states(self.settings).get(name, {}).get("state")

    @contextmanager
    def without_the_stream(self) -> Iterator[None]:
        """The streaming job is stopped in the block."""
        supervisor = Supervisor(self.settings)
        supervisor.stop_program("stream")
        try:
            yield
        finally:
            supervisor.start_program("stream")

    @contextmanager
    def lake(self) -> Iterator[Ask]:
        """Asks DuckDB, which writes nothing here."""
        with duckdb_connection(self.settings) as connection:

            def ask(query: str) -> list[Row]:
                columns = connection.execute(query).to_arrow_table().columns
                return list(zip(*(column.to_pylist() for column in columns), strict=True))

            yield ask

    def tear_down(self) -> None:
        """Take the tables out of source, connector and lake."""
        forget(self.settings, self.schema, [self.source(situation) for situation in self.situations])


def stream_states(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the streaming job last said of every table, by `schema.table`."""
    try:
        tables: dict[str, dict[str, Any]] = json.loads((settings.state_dir / "stream.json").read_text())["tables"]
    except (FileNotFoundError, ValueError):
        return {}
    return tables


def forget(settings: Settings, schema: str, tables: Iterable[SourceTable]) -> None:
    """Drop a schema of the source, and once the stream let go of its tables, all that the lake and Kafka have of them.

    Raises VerificationError when the stream does not let go.
    """
    with psycopg.connect(settings.source_dsn("taxi"), autocommit=True) as session:
        session.execute(f"drop schema if exists {schema} cascade".encode())
    left = {table: Request("release", table.qualified) for table in tables}
    for request in left.values():
        submit(settings, request)
    until(lambda: all(answer(settings, each) is not None for each in left.values()), "the stream lets go of the tables")
    ensure_connector(settings)
    for table in left:
        drop_from_lake(settings, table)
        note_options(settings, table.qualified, PLAIN)
    for topic in {table.topic(settings.topic_prefix) for table in left} & set(list_topics(settings)):
        delete_topic(settings, topic)


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until it holds. Raises VerificationError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise VerificationError(f"after {WAIT_SECONDS:.0f} s still not: {what}", remedy="lake status")
        time.sleep(0.2)


def _run(session: psycopg.Connection, statement: str) -> None:
    """A COPY is followed by its data, from the second line on."""
    if not statement.startswith("copy "):
        session.execute(statement.encode())
        return
    command, data = statement.split("\n", 1)
    with session.cursor() as cursor, cursor.copy(command.encode()) as copy:
        copy.write(data.encode())
