"""The way out of Postgres: the connector restarted, its slot gone or moved on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg

from conformance.faults.fault import Fault, Ground
from connectors.worker import Worker

ACTIVE = "select active_pid from pg_replication_slots where slot_name = %s"


def _restart(which: str) -> Any:
    def inject(ground: Ground) -> None:
        address = f"{ground.settings.connect}/connectors/{ground.settings.connector}/{which}"
        httpx.post(address, timeout=60, trust_env=False).raise_for_status()

    return inject


def _pause(ground: Ground) -> None:
    """Stopped and resumed: the task is gone meanwhile, and starts from its offsets."""
    with _stopped(ground):
        time.sleep(ground.chance.uniform(0, 5))


@contextmanager
def _slot_free(ground: Ground) -> Iterator[psycopg.Connection[Any]]:
    """The connector is stopped, and stays so."""
    settings = ground.settings
    Worker(settings).stop(settings.connector)
    with psycopg.connect(settings.source_dsn("cdc"), autocommit=True) as session:
        ground.until(lambda: session.execute(ACTIVE, [settings.slot]).fetchone() == (None,), "the slot is free")
        yield session


@contextmanager
def _stopped(ground: Ground) -> Iterator[psycopg.Connection[Any]]:
    """The connector is stopped and its slot free in the block."""
    try:
        with _slot_free(ground) as session:
            yield session
    finally:
        Worker(ground.settings).resume(ground.settings.connector)


def _drop(ground: Ground) -> None:
    with _stopped(ground) as session:
        session.execute("select pg_drop_replication_slot(%s)", [ground.settings.slot])


def _advance(ground: Ground) -> str:
    """Debezium itself would go on in silence; `lake connect` and `lake up` do not. What they say is returned."""
    with _slot_free(ground) as session:
        start = ground.written()
        ground.until(lambda: ground.written() > start + 10_000, "more was written")
        session.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", [ground.settings.slot])
    return ground.refused("connect")


def _reset(ground: Ground, said: str) -> None:
    ground.run_named_command(said)


FAULTS = (
    Fault("connector restarted", "connector and task restarted by REST", _restart("restart?includeTasks=true")),
    Fault("task restarted", "the connector's task restarted alone", _restart("tasks/0/restart")),
    Fault("connector stopped", "the connector stopped and resumed", _pause),
    Fault("slot dropped", "the replication slot is dropped", _drop, told="connect reset", loses=True),
    Fault("slot advanced", "the slot is moved past what nobody read", _advance, _reset, loses=True),
)
