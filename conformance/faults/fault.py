"""What a fault is, and the ground on which it is done: the running stack, its tables, and what was done to them."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import httpx
import psycopg
from confluent_kafka import KafkaException

from catalog.errors import ComponentError, LakehouseError, VerificationError
from catalog.history import lsn_number
from catalog.settings import PROJECT, Settings
from catalog.source import SourceTable
from conformance.breakable import Breakable
from conformance.scene import stream_states
from stack import control

STEP_SECONDS = 120.0
FAILURES = (
    LakehouseError,
    OSError,
    ValueError,
    duckdb.Error,
    psycopg.Error,
    httpx.HTTPError,
    KafkaException,
    subprocess.SubprocessError,
)
"""How a component that a fault took away, or a fault that does not heal, looks from here."""
_COMMAND = re.compile(r"lake (resync [\w.]+|connect reset)")


@dataclass(frozen=True)
class Gap:
    """Commits of a table that its changelog may lack: those after LSN `start`, up to `end`."""

    table: str
    start: int
    end: int


@dataclass
class Ground:
    """Where faults are done. `chance` is the present fault's own; `injected` counts unreadable records by table."""

    settings: Settings
    tables: Sequence[SourceTable]
    breakable: Breakable
    chance: random.Random = field(default_factory=random.Random)
    injected: Counter[str] = field(default_factory=Counter)
    gaps: list[Gap] = field(default_factory=list)

    def table(self) -> SourceTable:
        """One of the tables."""
        return self.chance.choice(list(self.tables))

    def states(self) -> dict[str, control.State]:
        """Every component by name."""
        return {state.name: state for state in control.states(self.settings)}

    def pid(self, component: str) -> int:
        """The process of a component. Raises ComponentError when it has none."""
        found = self.states()[component].pid
        if found is None:
            raise ComponentError(f"{component} has no process", remedy="lake status")
        return found

    def told(self, table: SourceTable) -> dict[str, Any]:
        """What the streaming job last said of a table."""
        return stream_states(self.settings).get(table.qualified, {})

    def until(self, condition: Callable[[], Any], what: str, seconds: float = STEP_SECONDS) -> Any:
        """The condition's first true answer. Raises VerificationError."""
        deadline, last = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            try:
                if found := condition():
                    return found
            except FAILURES as away:
                last = f" ({away})"
            time.sleep(0.3)
        raise VerificationError(f"after {seconds:.0f} s still not: {what}{last}", remedy="lake status")

    def written(self) -> int:
        """The LSN up to which Postgres has written."""
        with psycopg.connect(self.settings.source_dsn("taxi"), connect_timeout=5) as session:
            row = session.execute("select pg_current_wal_insert_lsn()::text").fetchone()
        assert row is not None
        return lsn_number(row[0])

    def is_whole(self, lsn: int) -> bool:
        """Whether all components answer, and every table streams and shows changes from after that LSN."""
        told = [self.told(table) for table in self.tables]
        flows = all(each.get("state") == "running" and (each.get("lsn") or 0) >= lsn for each in told)
        return flows and all(state.healthy for state in self.states().values())

    def applied(self) -> dict[SourceTable, int]:
        """The LSN at which each table stands now."""
        return {table: self.told(table).get("lsn") or 0 for table in self.tables}

    def run_named_command(self, text: str) -> str:
        """Run the command that a status named; returns it. Raises VerificationError where it named none or it fails."""
        found = _COMMAND.search(text)
        if found is None:
            raise VerificationError(f"no command is named in: {text}")
        self.lake(*found[1].split())
        return found[0]

    def lake(self, *words: str) -> None:
        """Run the command line as people do. Raises VerificationError when it ends otherwise than well."""
        code, said = _lake(*words)
        if code:
            raise VerificationError(f"lake {' '.join(words)}: {said[-600:]}")

    def refused(self, *words: str) -> str:
        """What a command says that must refuse. Raises VerificationError when it does not."""
        code, said = _lake(*words)
        if not code:
            raise VerificationError(f"lake {' '.join(words)} ended well, but had to refuse")
        return said


def _lake(*words: str) -> tuple[int, str]:
    command = [sys.executable, "-P", "-m", "lake", *words]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ, capture_output=True, text=True, timeout=300)
    return done.returncode, " ".join((done.stderr or done.stdout).split())


def _always(settings: Settings) -> str:
    return ""


@dataclass(frozen=True)
class Fault:
    """One way to break the stack.

    `inject` returns what `heal` needs. Afterwards every component must answer and every table show new changes. Where
    `told` is given, `lake status` must say it first, of a table or of the connector, and unless there is a `heal` the
    command that it names mends it; `loses`: the changelog of that table, or of all, may then have a gap. `cannot` tells
    why it is not done here.
    """

    name: str
    what: str
    inject: Callable[[Ground], Any]
    heal: Callable[[Ground, Any], None] | None = None
    told: str = ""
    loses: bool = False
    cannot: Callable[[Settings], str] = _always
