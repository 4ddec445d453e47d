"""Seeded transactions under seeded faults, then the lake compared with Postgres and with an independent decoder."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import structlog

from catalog.errors import ComponentError
from catalog.readers import duckdb_connection
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.verification import verify
from conformance.breakable import breakable_stream
from conformance.faults import Fault, Gap, Ground, chosen
from conformance.faults.fault import FAILURES
from conformance.oracle import Event, Oracle, as_row, oracle
from conformance.outcome import Broken, Report, count_against
from conformance.past import compare_moments, look_for_files
from conformance.plan import Planned, plan
from conformance.scene import forget, until
from conformance.windows import recomputed
from conformance.workload import TABLES, TRIPS
from conformance.writing import Writer
from connectors.registration import failure
from connectors.setup import ensure_connector
from connectors.source import REPLICATION_ROLE
from stack import control

Say = Callable[[str], None]
HEAL_SECONDS = 180.0

log = structlog.get_logger()


def run(settings: Settings, seed: int, minutes: float, names: str | None = None, say: Say = lambda _: None) -> Report:
    """Write and break for that long, heal, and compare. Raises LakehouseError when the stack is not whole before."""
    report, schema = Report(seed, minutes, names), f"chaos_{uuid4().hex[:6]}"
    faults = [fault for fault in chosen(names) if not _cannot(fault, settings, report)]
    _require_whole(settings)
    tables = _tables(schema)
    in_the_lake = [name.split(".")[1] for table in tables for name in (table.mirror, table.changelog)]
    try:
        with oracle(settings) as decoder, breakable_stream(settings, in_the_lake) as breakable:
            say("tables join")
            _join(settings, schema)
            ground = Ground(settings, tables, breakable)
            ground.until(lambda: ground.is_whole(0), "the tables stream", HEAL_SECONDS)
            _write_and_break(ground, schema, report, plan(seed, faults), say)
            say("comparing")
            _compare(ground, decoder, report)
    finally:
        say("tables leave")
        _leave(settings, schema, tables, report)
    return report


def _cannot(fault: Fault, settings: Settings, report: Report) -> bool:
    if why := fault.cannot(settings):
        report.not_run[fault.name] = why
    return bool(why)


def _tables(schema: str) -> list[SourceTable]:
    return [SourceTable(schema, name, (), key, True) for name, (_, key, _) in TABLES.items()]


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


def _write_and_break(ground: Ground, schema: str, report: Report, planned: Iterable[Planned], say: Say) -> None:
    writer, ends = Writer(ground.settings, schema, report), time.monotonic() + 60 * report.minutes
    writer.start()
    try:
        for each in planned:
            after = writer.done + each.pause
            while writer.done < after and time.monotonic() < ends and writer.is_alive():
                time.sleep(0.1)
            if time.monotonic() >= ends:
                return
            say(f"{writer.done:,} transactions; {each.fault.name}: {each.fault.what}")
            ground.chance = random.Random(each.seed)
            try:
                seconds, said = _break(ground, each.fault)
            except FAILURES as failed:
                log.error("a fault did not heal", fault=each.fault.name, exc_info=failed)
                report.reasons.append(f"{each.fault.name}: {failed}")
                return
            log.info("healed", fault=each.fault.name, after=after, seconds=round(seconds, 1), said=said)
            report.faults.append(Broken(each.fault.name, after, round(seconds, 1), said))
        time.sleep(max(0.0, ends - time.monotonic()))
    finally:
        if not writer.is_alive():
            report.reasons.append("the writer ended before its time")
        writer.ending.set()
        writer.join()
        ground.breakable.proxies.cure()


def _break(ground: Ground, fault: Fault) -> tuple[float, str]:
    """Do it, heal it, and wait until all tables show new changes; the seconds that took, and what a status said."""
    stood, hit, said = ground.applied(), ground.tables, ""
    state = fault.inject(ground)
    if fault.told:
        hit, said = ground.until(lambda: _told(ground, fault.told), f"a status says {fault.told!r}")
    healing = time.monotonic()
    mended = _heal(ground, fault, state, said)
    since = healing if fault.told else time.monotonic()
    lsn = ground.until(ground.written, "Postgres answers", HEAL_SECONDS)
    ground.until(lambda: ground.is_whole(lsn), "all components answer and all tables show new changes", HEAL_SECONDS)
    if fault.loses:
        ground.gaps += [Gap(table.qualified, stood[table], ground.written()) for table in hit]
    return time.monotonic() - since, mended


def _heal(ground: Ground, fault: Fault, state: Any, said: str) -> str:
    if fault.heal is not None:
        fault.heal(ground, state)
        return said
    return f"{said}: {ground.run_named_command(said)}" if fault.told else ""


def _told(ground: Ground, wanted: str) -> tuple[Sequence[SourceTable], str] | None:
    """What `lake status` says in these words, with its remedy: of one table, or of the connector and so of all."""
    for table in ground.tables:
        each = ground.told(table)
        if wanted in (text := f"{each.get('reason')} → {each.get('remedy')}"):
            return [table], text
    connector = str(failure(ground.settings) or "")
    return (ground.tables, connector) if wanted in connector else None


def _leave(settings: Settings, schema: str, tables: Sequence[SourceTable], report: Report) -> None:
    """What was found is told even where a stack that did not heal keeps something."""
    try:
        if settings.source_example:
            with psycopg.connect(settings.source_dsn("taxi"), autocommit=True) as session:
                session.execute("delete from trips where note = %s", [TRIPS])
        forget(settings, schema, tables)
        until(lambda: all(state.healthy for state in control.states(settings)), "all components answer")
    except FAILURES as failed:
        log.error("not all of it was taken away", schema=schema, exc_info=failed)
        report.reasons.append(f"not all of {schema} was taken away: {failed}")


def _require_whole(settings: Settings) -> None:
    if ill := [state.name for state in control.states(settings) if not state.healthy]:
        raise ComponentError(f"chaos begins on a healthy stack; {', '.join(ill)} is not", remedy="lake status; lake up")


def _compare(ground: Ground, decoder: Oracle, report: Report) -> None:
    report.injected = ground.injected.total()
    for check in (_with_postgres, _with_the_decoder, _with_recomputation, _with_the_store):
        try:
            check(ground, decoder, report)
        except FAILURES as failed:
            log.error("a comparison failed", exc_info=failed)
            report.reasons.append(f"not compared{check.__name__.replace('_', ' ')}: {failed}")


def _with_postgres(ground: Ground, _: Oracle, report: Report) -> None:
    names = [table.qualified for table in ground.tables]
    for each in verify(ground.settings, names, timeout=HEAL_SECONDS, kept=False).tables:
        report.differing_rows += each.differing_rows + each.changelog_differing_rows
        report.quarantined += each.quarantined
        if each.unverified:
            report.reasons.append(f"{each.table}: {each.unverified}")


def _with_the_decoder(ground: Ground, decoder: Oracle, report: Report) -> None:
    expected = {table: decoder.events(table.qualified, table.key) for table in ground.tables}
    gaps = {table: [gap for gap in ground.gaps if gap.table == table.qualified] for table in ground.tables}
    for table in ground.tables:
        count_against(expected[table], _changelog(ground.settings, table), report, gaps[table])
    for table in ground.tables:
        after = max((gap.end for gap in gaps[table]), default=0)
        compare_moments(ground.settings, table, expected[table], after, report)


def _with_recomputation(ground: Ground, _: Oracle, report: Report) -> None:
    if not ground.settings.source_example:
        return
    found = recomputed(ground.settings, HEAL_SECONDS)
    report.windows += found.windows
    if not found.equal:
        report.reasons.append(f"of the real-time tables {found.differing_windows} windows and"
                              f" {found.differing_activity} activities differ")  # fmt: skip


def _with_the_store(ground: Ground, _: Oracle, report: Report) -> None:
    for table in ground.tables:
        for name in (table.mirror, table.changelog):
            look_for_files(ground.settings, name, report)


def _changelog(settings: Settings, table: SourceTable) -> list[Event]:
    """The stream's own events. A topic that was made again counts anew, in a later generation."""
    query = f"select lsn, op, key, after from iceberg.{table.changelog} where topic_offset is not null and op <> 'r'"
    with duckdb_connection(settings) as connection:
        rows = connection.execute(f"{query} order by generation, topic_offset").to_arrow_table().to_pylist()
    return [_event(table, **row) for row in rows]


def _event(table: SourceTable, lsn: int, op: str, key: dict[str, Any] | None, after: dict[str, Any] | None) -> Event:
    names = tuple(str((key or {})[name]) for name in table.key) if op != "t" else ()
    return Event(lsn, op, names, as_row(after or {}) if op in "cu" else None)
