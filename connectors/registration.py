"""Registering the connector, waiting until it runs, and starting it over when its slot is gone."""

from __future__ import annotations

import re
import time
from typing import Any, Literal

from catalog.errors import ComponentError, SourceError
from catalog.history import lsn_number, lsn_text
from catalog.settings import Settings
from connectors.configuration import connector_configuration
from connectors.source import connected, published_tables, require_readable
from connectors.worker import Worker

Outcome = Literal["created", "updated", "unchanged"]
START_SECONDS = 120.0
LSNS = ("lsn", "lsn_proc", "lsn_commit")
"""Of a source offset."""
SETTLED_SECONDS = 1.5
"""How long everything must be RUNNING: Connect shows the state from before an update until the tasks have restarted."""
UNCONVERTIBLE = re.compile(r"Failed to properly convert data value for '(.+)\.[^.]+'")
"""What Debezium says of a value that it cannot write: table and column."""
SLOT_GONE = ("no longer available on the server", "slot does not exist", "Failed to validate the replication slot")


def register(settings: Settings) -> Outcome:
    """Create or update the connector and wait until it and its task are RUNNING; a failed task is restarted once.

    Raises ComponentError with the task's trace when it fails again, or when the slot has passed changes that the
    connector has not read; SourceError when a table cannot be read.
    """
    require_readable(settings)
    worker = Worker(settings)
    _require_slot_in_place(worker, settings)
    wanted = connector_configuration(settings, published_tables(settings))
    present = worker.configuration(settings.connector)
    if present is not None:
        present.pop("name", None)
    outcome: Outcome = "created" if present is None else "unchanged" if present == wanted else "updated"
    if outcome != "unchanged":
        worker.configure(settings.connector, wanted)
    elif _state(worker.status(settings.connector)) == "STOPPED":
        worker.resume(settings.connector)
    _wait_running(worker, settings)
    return outcome


def captured_tables(settings: Settings) -> set[str]:
    """`schema.table` of all that the registered connector captures; empty when there is none."""
    present = Worker(settings).configuration(settings.connector) or {}
    listed = present.get("table.include.list", "")
    return {re.sub(r"\\(.)", r"\1", name) for name in listed.split(",") if name}


def failure(settings: Settings) -> ComponentError | None:
    """Why the registered connector failed, in one line; None when it did not."""
    status = Worker(settings).status(settings.connector)
    return _failure(settings, status, _cause(_trace(status))) if _state(status) == "FAILED" else None


def start_over(settings: Settings) -> None:
    """Forget the connector's offsets and its slot, so that it begins with a new initial copy; wait until it runs.

    Raises SourceError when another process holds the slot.
    """
    require_readable(settings)
    worker = Worker(settings)
    wanted = connector_configuration(settings, published_tables(settings))
    if worker.configuration(settings.connector) is None:
        worker.create_stopped(settings.connector, wanted)
    else:
        worker.stop(settings.connector)
    _wait_stopped(worker, settings)
    worker.forget_offsets(settings.connector)
    _drop_slot(settings)
    worker.configure(settings.connector, wanted)
    worker.resume(settings.connector)
    _wait_running(worker, settings)


def _require_slot_in_place(worker: Worker, settings: Settings) -> None:
    """Only the connector may move its slot, and it does so behind its offsets.

    Debezium 3.7.0 says of `trust_offset` that it fails when the slot is ahead, but only notices it when the slot's
    restart LSN has passed too: otherwise what lies between would be lost in silence. The slot is read first: offsets
    that are read later can only be further.
    """
    find = "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s"
    with connected(settings, "cdc") as connection:
        row = connection.execute(find, [settings.slot]).fetchone()
    known = [int(each[name]) for each in worker.offsets(settings.connector) for name in LSNS if each.get(name)]
    if row is None or row[0] is None or not known or lsn_number(row[0]) <= max(known):
        return
    raise ComponentError(
        f"replication slot {settings.slot} is at {row[0]}, connector {settings.connector} has read to "
        f"{lsn_text(max(known))}: something else moved the slot, and what lies between is lost to the connector",
        remedy="scripts/lake connect reset forgets the offsets and copies every table anew",
    )


def _wait_running(worker: Worker, settings: Settings) -> None:
    deadline = time.monotonic() + START_SECONDS
    running_since: float | None = None
    restarted = False
    status: dict[str, Any] | None = None
    while time.monotonic() < deadline:
        status = worker.status(settings.connector)
        state = _state(status)
        if state == "RUNNING":
            running_since = running_since or time.monotonic()
            if time.monotonic() - running_since >= SETTLED_SECONDS:
                return
        else:
            running_since = None
        if state == "FAILED":
            if restarted or _slot_gone(_trace(status)):
                raise _failure(settings, status, _trace(status))
            restarted = True
            worker.restart_failed(settings.connector)
            time.sleep(1.0)
        time.sleep(0.3)
    raise ComponentError(
        f"connector {settings.connector} is {_state(status)} after {START_SECONDS:.0f} s, not RUNNING",
        remedy="scripts/lake logs connect",
    )


def _state(status: dict[str, Any] | None) -> str:
    """FAILED when any part failed, RUNNING when the connector and at least one task run, otherwise the connector's."""
    if status is None:
        return "UNKNOWN"
    states = [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
    if "FAILED" in states:
        return "FAILED"
    if set(states) == {"RUNNING"}:
        return "RUNNING" if status["tasks"] else "STARTING"
    return str(next(state for state in states if state != "RUNNING"))


def _trace(status: dict[str, Any] | None) -> str:
    parts = [status["connector"], *status["tasks"]] if status else []
    return "\n".join(part["trace"] for part in parts if part.get("trace"))


def _cause(trace: str) -> str:
    """The last cause of a trace, or its first line."""
    causes = [line for line in trace.splitlines() if line.startswith("Caused by: ")]
    return causes[-1].removeprefix("Caused by: ").split(": ", 1)[-1] if causes else trace.partition("\n")[0]


def _slot_gone(trace: str) -> bool:
    return any(sign in trace for sign in SLOT_GONE)


def _failure(settings: Settings, status: dict[str, Any] | None, told: str) -> ComponentError:
    trace = _trace(status)
    if _slot_gone(trace):
        return ComponentError(
            f"connector {settings.connector} has offsets, but its replication slot {settings.slot} is gone or moved on,"
            f" so changes are missing between them\n{told}",
            remedy="scripts/lake connect reset forgets the offsets and copies every table anew",
        )
    remedy = "mend what the last 'Caused by' names, then scripts/setup-connectors.sh; scripts/lake logs connect"
    if found := UNCONVERTIBLE.search(trace):
        remedy = f"correct the value in Postgres; lake remove {found[1]}, then lake add {found[1]} copies it anew"
    return ComponentError(f"connector {settings.connector} failed\n{told}", remedy=remedy)


def _wait_stopped(worker: Worker, settings: Settings) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        status = worker.status(settings.connector)
        if status and status["connector"]["state"] == "STOPPED" and not status["tasks"]:
            return
        time.sleep(0.3)
    raise ComponentError(
        f"connector {settings.connector} did not stop in {START_SECONDS:.0f} s", remedy="scripts/lake logs connect"
    )


def _drop_slot(settings: Settings) -> None:
    deadline = time.monotonic() + 30
    find = "select active_pid from pg_replication_slots where slot_name = %s"
    with connected(settings, "cdc") as connection:
        while row := connection.execute(find, [settings.slot]).fetchone():
            if row[0] is None:
                connection.execute("select pg_drop_replication_slot(%s)", [settings.slot])
            elif time.monotonic() > deadline:
                raise SourceError(
                    f"replication slot {settings.slot} is in use by Postgres process {row[0]}",
                    remedy="stop the program that reads it; select * from pg_stat_replication names it",
                )
            else:
                time.sleep(0.3)
