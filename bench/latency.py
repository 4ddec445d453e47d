"""How long a change takes from its commit in Postgres until the lake shows it, under steady traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.accounting import Watched
from bench.chain import TABLE, Chain, component_names
from bench.machine import Machine, describe, load_average
from catalog.errors import ComponentError
from catalog.freshness import Freshness, freshness
from catalog.settings import Settings
from catalog.source import NAMESPACE
from catalog.tables.realtime import TRIP_AGGREGATIONS, ZONE_ACTIVITY
from connectors.load import load_trips
from connectors.traffic import run_traffic

WARM_UP_SECONDS = 20.0
"""Traffic that is not counted: the real-time tables make way for a process that has just started."""
LONGEST_WAIT_SECONDS = 120.0
VISIBLE_IN = (f"{NAMESPACE}.{TABLE}", TRIP_AGGREGATIONS.identifier, ZONE_ACTIVITY.identifier)

Report = Callable[[str], None]


@dataclass(frozen=True)
class Latency:
    """A whole run. `visible` has seconds from commit by table, `cpu_seconds` those of the counted traffic."""

    changes: int
    rate: float
    seconds: float
    visible: dict[str, Freshness]
    cpu_seconds: dict[str, float]
    peak_memory: dict[str, int]
    machine: Machine


def measure(settings: Settings, rate: float, seconds: float, report: Report = lambda phase: None) -> Latency:
    """Make traffic on table trips and read from the tables when it became visible; needs the whole stack.

    Raises ComponentError, SourceError, VerificationError.
    """
    chain, load_before = Chain(settings), load_average()
    chain.require_running()
    load_trips(settings)
    report(f"{WARM_UP_SECONDS:.0f} s of traffic that is not counted")
    run_traffic(settings, rate, WARM_UP_SECONDS, seed=1)
    watched = Watched.of(settings, component_names())
    watched.forget_peaks()
    report(f"{seconds:.0f} s of traffic at {rate:g} changes a second")
    began = datetime.now(UTC)
    with watched.spending() as spending:
        counts = run_traffic(settings, rate, seconds, seed=2)
    report("waiting for the last change")
    chain.await_kafka(LONGEST_WAIT_SECONDS)
    chain.await_applied()
    chain.await_windows()
    visible = {name: freshness(settings, TABLE, began, name) for name in VISIBLE_IN}
    seen = {name: found for name, found in visible.items() if found is not None}
    if missing := visible.keys() - seen:
        raise ComponentError(f"no change became visible in {', '.join(sorted(missing))}", remedy="lake logs stream")
    return Latency(
        counts.changes,
        round(counts.rate, 1),
        round(counts.seconds, 3),
        seen,
        spending.cpu_seconds,
        watched.peak_memory(),
        describe(settings, load_before),
    )
