"""Seeded transactions under seeded faults, then the lake compared with Postgres and with an independent decoder."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

import psycopg

from catalog.errors import ComponentError
from catalog.readers import duckdb_connection
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.verification import verify
from conformance.oracle import Event, Oracle, oracle
from conformance.scene import forget
from conformance.workload import TABLES, transactions
from connectors.setup import ensure_connector
from connectors.source import REPLICATION_ROLE
from stack import control

Say = Callable[[str], None]
COMPONENTS = ("stream", "connect", "kafka", "catalog", "store", "postgres")
TRANSACTIONS_BETWEEN_FAULTS = 150
TRANSACTIONS_PER_SECOND = 25.0
HEAL_SECONDS = 180.0
LONGEST_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Fault:
    """After so many transactions, a process is killed (`seconds` 0) or stands still for some seconds."""

    after: int
    component: str
    seconds: float


@dataclass
class Report:
    """What a run did and found. `lost`, `duplicated` and `wrong` count events of the changelogs, by the decoder's."""

    seed: int
    minutes: float
    committed: int = 0
    rolled_back: int = 0
    unknown: int = 0
    refused: int = 0
    events: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    differing_rows: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether nothing was lost, duplicated or wrong, and all could be compared."""
        return not (self.lost or self.duplicated or self.wrong or self.differing_rows or self.reasons)

    def as_json(self) -> dict[str, Any]:
        """All fields, the verdict, and the line that runs it again."""
        return {
            **asdict(self),
            "right": self.right,
            "again": f"lake chaos --seed {self.seed} --minutes {self.minutes:g}",
        }


def faults(seed: int) -> Iterator[Fault]:
    """Without end, the same for the same seed: each process is killed and stood still in turn, in shuffled rounds."""
    chance, after = random.Random(f"faults {seed}"), 0
    while True:
        kinds = [(name, kills) for name in COMPONENTS for kills in (True, False)]
        chance.shuffle(kinds)
        for name, kills in kinds:
            after += chance.randint(TRANSACTIONS_BETWEEN_FAULTS // 2, TRANSACTIONS_BETWEEN_FAULTS)
            yield Fault(after, name, 0.0 if kills else chance.uniform(2.0, LONGEST_STOP_SECONDS))


class Writer(threading.Thread):
    """Commits the seed's transactions in order, each tried once: whether a lost one landed, the oracle knows."""

    def __init__(self, settings: Settings, schema: str, report: Report) -> None:
        super().__init__(name="writer")
        self._settings, self._schema, self._report = settings, schema, report
        self.done, self.ending = 0, threading.Event()

    def run(self) -> None:
        """Until `ending` is set."""
        session: psycopg.Connection | None = None
        for transaction in transactions(self._report.seed):
            while not self.ending.is_set() and (session is None or session.closed):
                with suppress(psycopg.OperationalError):
                    session = psycopg.connect(self._settings.source_dsn("taxi"), connect_timeout=5)
                self.ending.wait(0 if session and not session.closed else 0.5)
            if self.ending.is_set() or session is None:
                break
            self._try(
                session, [s.replace("@", f"{self._schema}.") for s in transaction.statements], transaction.commits
            )
            self.done += 1
            self.ending.wait(1 / TRANSACTIONS_PER_SECOND)

    def _try(self, session: psycopg.Connection, statements: list[str], commits: bool) -> None:
        try:
            for statement in statements:
                session.execute(statement.encode())
            (session.commit if commits else session.rollback)()
            self._report.committed += commits
            self._report.rolled_back += not commits
        except psycopg.OperationalError:
            self._report.unknown += 1
            session.close()
        except psycopg.Error:  # such as a key that is there already: the same in every run from the same rows
            self._report.refused += 1
            session.rollback()


def run(settings: Settings, seed: int, minutes: float, say: Say = lambda _: None) -> Report:
    """Write and break for that long, heal, and compare. Raises LakehouseError when the stack is not whole before."""
    report, schema = Report(seed, minutes), f"chaos_{uuid4().hex[:6]}"
    _require_whole(settings)
    with oracle(settings) as decoder:
        try:
            _join(settings, schema)
            _write_and_break(settings, schema, report, minutes, say)
            say("comparing")
            _compare(settings, schema, decoder, report)
        finally:
            forget(settings, schema, _tables(schema).values())
    return report


def _tables(schema: str) -> dict[str, SourceTable]:
    return {name: SourceTable(schema, name, (), key, True) for name, (_, key, _) in TABLES.items()}


def _join(settings: Settings, schema: str) -> None:
    with psycopg.connect(settings.source_dsn("taxi"), autocommit=True) as session:
        session.execute(f"create schema {schema}; grant usage on schema {schema} to {REPLICATION_ROLE}".encode())
        for name, (columns, _, identity) in TABLES.items():
            table = f"{schema}.{name}"
            session.execute(f"create table {table} ({columns})".encode())
            session.execute(f"alter table {table} replica identity {identity}".encode())
            session.execute(f"grant select on {table} to {REPLICATION_ROLE}".encode())
        names = ", ".join(f"{schema}.{name}" for name in TABLES)
        session.execute(f"alter publication {settings.publication} add table {names}".encode())
    ensure_connector(settings)


def _write_and_break(settings: Settings, schema: str, report: Report, minutes: float, say: Say) -> None:
    writer, ends = Writer(settings, schema, report), time.monotonic() + 60 * minutes
    writer.start()
    try:
        for fault in faults(report.seed):
            while writer.done < fault.after and time.monotonic() < ends and writer.is_alive():
                time.sleep(0.1)
            if time.monotonic() >= ends:
                break
            say(f"{writer.done:,} transactions; {_told(fault)}")
            seconds = _break(settings, fault)
            report.faults.append({**asdict(fault), "recovery_seconds": round(seconds, 1)})
    finally:
        writer.ending.set()
        writer.join()


def _told(fault: Fault) -> str:
    return f"{fault.component} " + (f"stands still for {fault.seconds:.0f} s" if fault.seconds else "is killed")


def _break(settings: Settings, fault: Fault) -> float:
    """Do it, and wait until every component is healthy again; the seconds that took. Raises ComponentError."""
    pid = {state.name: state.pid for state in control.states(settings)}[fault.component]
    began = time.monotonic()
    if pid is None:
        return 0.0
    os.kill(pid, signal.SIGSTOP if fault.seconds else signal.SIGKILL)
    if fault.seconds:
        time.sleep(fault.seconds)
        with suppress(ProcessLookupError):  # the supervisor may have put another in its place
            os.kill(pid, signal.SIGCONT)
        began = time.monotonic()
    while True:
        states = control.states(settings)
        killed = not fault.seconds and any(state.pid == pid for state in states)
        if all(state.healthy for state in states) and not killed:
            return time.monotonic() - began
        if time.monotonic() - began > HEAL_SECONDS:
            ill = ", ".join(state.name for state in states if not state.healthy)
            raise ComponentError(f"after {HEAL_SECONDS:.0f} s still not healthy: {ill}", remedy="lake status; lake up")
        time.sleep(0.5)


def _require_whole(settings: Settings) -> None:
    if ill := [state.name for state in control.states(settings) if not state.healthy]:
        raise ComponentError(f"chaos begins on a healthy stack; {', '.join(ill)} is not", remedy="lake status; lake up")


def _compare(settings: Settings, schema: str, decoder: Oracle, report: Report) -> None:
    tables = _tables(schema)
    found = verify(settings, [table.qualified for table in tables.values()], timeout=HEAL_SECONDS)
    for each in found.tables:
        report.differing_rows += each.differing_rows + each.changelog_differing_rows
        if each.unverified:
            report.reasons.append(f"{each.table}: {each.unverified}")
    for table in tables.values():
        count_against(decoder.events(table.qualified, table.key), _changelog(settings, table), report)


def count_against(expected: list[Event], found: list[Event], report: Report) -> None:
    """Count what the changelog lacks, has twice, or has otherwise or elsewhere than the decoder."""
    lacking, surplus = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    twice = sum(count for event, count in surplus.items() if event in set(expected))
    report.events += len(expected)
    report.duplicated += twice
    report.wrong += surplus.total() - twice
    report.lost += lacking.total()
    if not lacking and not surplus:
        report.wrong += sum(here != there for here, there in zip(expected, found, strict=True))


def _changelog(settings: Settings, table: SourceTable) -> list[Event]:
    query = f"select op, key, after from iceberg.{table.changelog} where topic_offset is not null order by topic_offset"
    with duckdb_connection(settings) as connection:
        rows = connection.execute(query).to_arrow_table().to_pylist()
    return [_event(table, **row) for row in rows]


def _event(table: SourceTable, op: str, key: dict[str, Any] | None, after: dict[str, Any] | None) -> Event:
    names = tuple(str((key or {})[name]) for name in table.key) if op != "t" else ()
    row = tuple(sorted((name, str(value)) for name, value in (after or {}).items() if value is not None))
    return Event(op, names, row if op in "cu" else None)
