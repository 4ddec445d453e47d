"""How fast a backlog goes through: from Kafka, or from Postgres, into mirror and changelog, and what it costs.

The changes are real rows of table `trips` of the source, made by `connectors.backlog`: 70 % inserts, 25 % updates,
5 % deletes, 500 a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from bench.accounting import Spending, Watched
from bench.chain import Chain, component_names, steady_rate
from bench.machine import Machine, describe, load_average
from catalog.errors import ComponentError
from catalog.settings import Settings
from connectors.backlog import run_backlog
from connectors.load import load_trips

LONGEST_WAIT_SECONDS = 1800.0
WARM_UP_SHARE = 0.1
"""A backlog of this share goes through before one from Postgres is timed, so that no process is cold."""

Report = Callable[[str], None]


class Origin(StrEnum):
    """Where the backlog waits."""

    KAFKA = "kafka"
    POSTGRES = "postgres"


@dataclass(frozen=True)
class Phase:
    """One stretch of the way. `events` left its end; `wall_seconds` include what had to start first."""

    name: str
    events: int
    wall_seconds: float
    cpu_seconds: dict[str, float]
    steady_events_per_second: float | None = None
    commits: int = 0

    @property
    def events_per_second(self) -> float:
        """Over the whole phase."""
        return self.events / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def cpu_per_thousand(self) -> float:
        """CPU-seconds over all processes per 1,000 events."""
        return 1000 * sum(self.cpu_seconds.values()) / self.events if self.events else 0.0


@dataclass(frozen=True)
class Drain:
    """A whole run. `complete` is whether the changelog got exactly the changes that Postgres committed."""

    origin: Origin
    changes: int
    backlog_seconds: float
    phases: tuple[Phase, ...]
    complete: bool
    peak_memory: dict[str, int]
    machine: Machine


@dataclass
class _Run:
    chain: Chain
    changes: int
    report: Report
    phases: list[Phase] = field(default_factory=list)
    backlog_seconds: float = 0.0
    watched: Watched | None = None

    def backlog(self, changes: int, seed: int) -> None:
        self.report(f"committing {changes:,} changes in Postgres")
        counts = run_backlog(self.chain.settings, changes, seed)
        self.changes, self.backlog_seconds = counts.changes, round(counts.seconds, 3)

    def watch(self) -> Watched:
        self.watched = Watched.of(self.chain.settings, component_names())
        self.watched.forget_peaks()
        return self.watched


def drain(settings: Settings, changes: int, origin: Origin, report: Report = lambda phase: None) -> Drain:
    """Make a backlog and time it; needs the whole stack, which runs again at the end.

    Raises ComponentError, VerificationError.
    """
    chain, load_before = Chain(settings), load_average()
    chain.require_running()
    report("bringing the lake level with the source")
    load_trips(settings)
    _settle(chain)
    run = _Run(chain, changes, report)
    try:
        began = _from_kafka(run) if origin is Origin.KAFKA else _from_postgres(run)
    finally:
        chain.restore()
    commits = chain.commits_since(began)
    complete = all(commits.values()) and sum(each.events for each in next(iter(commits.values()))) == run.changes
    peaks = run.watched.peak_memory() if run.watched else {}
    machine = describe(settings, load_before)
    return Drain(origin, run.changes, run.backlog_seconds, tuple(run.phases), complete, peaks, machine)


def _from_kafka(run: _Run) -> float:
    """Postgres to Kafka without the streaming job, then Kafka to the lake with it; returns when that began."""
    chain = run.chain
    chain.stop_stream()
    with chain.stopped_connector():
        run.backlog(run.changes, seed=1)
    run.report("Debezium brings them into Kafka")
    with run.watch().spending() as spending:
        chain.await_kafka(LONGEST_WAIT_SECONDS)
    phase = Phase("Postgres to Kafka", run.changes, spending.wall_seconds, spending.cpu_seconds)
    run.phases.append(phase)
    run.report("the streaming job starts")
    chain.start_stream()
    with run.watch().spending() as starting:
        chain.await_stream()
    run.phases.append(Phase("start of the streaming job", 0, starting.wall_seconds, starting.cpu_seconds))
    run.report("the streaming job applies them")
    began = time.time()
    with run.watch().spending() as spending:
        chain.await_applied()
    run.phases.append(_into_the_lake("Kafka to the lake", run, spending, began))
    return began


def _from_postgres(run: _Run) -> float:
    """Postgres to the lake with all processes warm; returns when the counted changes began to come."""
    chain, wanted = run.chain, run.changes
    run.backlog(max(1, round(wanted * WARM_UP_SHARE)), seed=1)
    _settle(chain)
    with chain.stopped_connector():
        run.backlog(wanted, seed=2)
    run.report("the connector goes on, and all of it into the lake")
    began = time.time()
    with run.watch().spending() as spending:
        _settle(chain)
    run.phases.append(_into_the_lake("Postgres to the lake", run, spending, began))
    return began


def _settle(chain: Chain) -> None:
    """Wait until what Postgres has committed is in Kafka, and what Kafka holds is in the lake."""
    chain.await_kafka(LONGEST_WAIT_SECONDS)
    chain.await_applied()


def _into_the_lake(name: str, run: _Run, spending: Spending, began: float) -> Phase:
    """A phase that ends with the last commit of changelog and mirror, not with our noticing it."""
    commits = run.chain.commits_since(began)
    if not all(commits.values()):
        raise ComponentError("no commit reached the lake", remedy="lake logs stream")
    changelog, mirror = commits.values()
    seconds = round(max(changelog[-1].at, mirror[-1].at) - began, 3)
    commits_made = len(changelog) + len(mirror)
    return Phase(name, run.changes, seconds, spending.cpu_seconds, steady_rate(changelog), commits_made)
