"""What every component is doing: as supervisord, the operating system and the component itself see it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from catalog.settings import Settings
from stack import health, processes
from stack.components import COMPONENTS, CORE, Component
from stack.supervision import Process, Supervisor


@dataclass(frozen=True)
class State:
    """One component: as supervisord, the operating system and the component itself see it."""

    name: str
    title: str
    state: str
    pid: int | None
    uptime_seconds: float
    restarts: int
    cpu_seconds: float
    cpu_percent: float
    memory_bytes: int
    healthy: bool
    answer: str
    answer_seconds: float
    address: str


def states(settings: Settings) -> list[State]:
    """Every component of the core and of the groups in use, asked in parallel."""
    known = Supervisor(settings).processes()
    groups = in_use(settings, known)
    shown = [each for each in COMPONENTS if each.group in groups]
    with ThreadPoolExecutor(len(shown)) as pool:
        return list(pool.map(lambda each: _state(each, settings, known.get(each.name)), shown))


def in_use(settings: Settings, known: Mapping[str, Process] | None = None) -> tuple[str, ...]:
    """The core, and the groups of which something was started and not stopped."""
    known = Supervisor(settings).processes() if known is None else known
    started = (each.group for each in COMPONENTS if each.name in known and known[each.name].state != "STOPPED")
    return tuple(dict.fromkeys([CORE, *started]))


def _state(component: Component, settings: Settings, process: Process | None) -> State:
    external = component.is_external(settings)
    pid = process.pid if process else None
    before, began = processes.usage(pid) if pid else None, time.monotonic()
    state = "external" if external else process.state.lower() if process else "stopped"
    not_running = health.Health(healthy=False, answer="not running", seconds=0.0)
    answered = health.check(component.ask, settings) if external or pid else not_running
    if before and time.monotonic() - began < 0.2:
        time.sleep(0.2)
    after, passed = processes.usage(pid) if pid else None, time.monotonic() - began
    return State(
        name=component.name,
        title=component.title,
        state=state,
        pid=pid,
        uptime_seconds=process.uptime_seconds if process else 0.0,
        restarts=max(0, process.starts - 1) if process else 0,
        cpu_seconds=after.cpu_seconds if after else 0.0,
        cpu_percent=max(0.0, 100 * (after.cpu_seconds - before.cpu_seconds) / passed) if after and before else 0.0,
        memory_bytes=after.memory_bytes if after else 0,
        healthy=answered.healthy,
        answer=answered.answer,
        answer_seconds=answered.seconds,
        address=component.address(settings),
    )
