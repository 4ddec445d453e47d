"""Up, down and what is in between: the functions behind `lake up`, `lake down` and `lake status`."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import Settings
from stack import health, preflight, processes, s3
from stack.components import COMPONENTS, Component, chosen, stop_order
from stack.states import State, states
from stack.supervision import Supervisor

__all__ = ["State", "down", "exclusive", "log_end", "states", "up"]

POLL_SECONDS = 0.15
STARTS_BEFORE_FAILURE = 4
"""A component that ended this often while `up` waited for it is not coming up."""

Report = Callable[[str, str], None]
Steps = Mapping[str, Callable[[Settings], object]]


def up(
    settings: Settings,
    *,
    without: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    then: Steps | None = None,
    report: Report = lambda name, phase: None,
) -> dict[str, float]:
    """Start what does not run, in order of dependency, and wait until all answer; seconds by component.

    That is the core and the `groups` asked for; what of other groups runs is left alone.
    `then` holds steps of the caller by component: each runs when its component answers, before those after it start.
    `report(name, phase)` is called from several threads. Raises ConfigurationError before anything is started and
    ComponentError when a component does not come up; what runs by then goes on running.
    """
    components = chosen(without=without, groups=groups)
    with exclusive(settings):
        supervisor = Supervisor(settings)
        if supervisor.is_running() and not supervisor.is_current():
            _stop_all(settings, report)
        if not supervisor.is_running():
            processes.end_leftovers(settings)
        preflight.require(settings, components)
        if not supervisor.is_running():
            supervisor.start()
        return _start_all(settings, supervisor, components, then or {}, report)


def down(settings: Settings, *, report: Report = lambda name, phase: None) -> list[str]:
    """Stop everything of this state folder, in order; the names of processes that had to be ended by hand."""
    if not settings.state_dir.exists():
        return []
    with exclusive(settings):
        return _stop_all(settings, report)


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold the state folder against another `up` or `down`. Raises ConfigurationError when one is at work."""
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
    with open(settings.state_dir / "stack.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise ConfigurationError(
                f"another `lake up` or `lake down` is at work on {settings.state_dir}", remedy="wait until it has ended"
            ) from busy
        yield


def _start_all(
    settings: Settings, supervisor: Supervisor, components: tuple[Component, ...], then: Steps, report: Report
) -> dict[str, float]:
    """Start each component as soon as those before it are ready. The first failure stops the waiting."""
    names = {component.name for component in components}
    waiting = {component.name: component for component in components}
    ready: dict[str, float] = {}
    running: dict[Future[float], str] = {}
    cancelled = threading.Event()
    with ThreadPoolExecutor(len(COMPONENTS)) as pool:
        try:
            while waiting or running:
                for name, component in list(waiting.items()):
                    if all(before in ready or before not in names for before in component.after):
                        del waiting[name]
                        step = then.get(name)
                        task = pool.submit(_bring_up, settings, supervisor, component, step, report, cancelled)
                        running[task] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for task in done:
                    name = running.pop(task)
                    ready[name] = task.result()
        finally:
            cancelled.set()
    return ready


def _bring_up(
    settings: Settings,
    supervisor: Supervisor,
    component: Component,
    step: Callable[[Settings], object] | None,
    report: Report,
    cancelled: threading.Event,
) -> float:
    """Prepare, start, wait for an answer, finish. Seconds that took."""
    began, outcome = time.monotonic(), "failed"
    try:
        _bring_up_or_raise(settings, supervisor, component, step, report, cancelled)
        outcome = "ready"
    finally:
        report(component.name, outcome)
    return time.monotonic() - began


def _bring_up_or_raise(
    settings: Settings,
    supervisor: Supervisor,
    component: Component,
    step: Callable[[Settings], object] | None,
    report: Report,
    cancelled: threading.Event,
) -> None:
    if component.is_external(settings):
        _check_external(component, settings)
    else:
        _run(settings, supervisor, component, report, cancelled)
    if step:
        report(component.name, "setting up")
        step(settings)


def _run(
    settings: Settings, supervisor: Supervisor, component: Component, report: Report, cancelled: threading.Event
) -> None:
    report(component.name, "preparing")
    changed = component.prepare(settings)
    if supervisor.write_command(component) or changed:
        supervisor.stop_program(component.name)
    report(component.name, "starting")
    supervisor.start_program(component.name)
    _await(settings, supervisor, component, cancelled)
    component.finish(settings)


def _await(settings: Settings, supervisor: Supervisor, component: Component, cancelled: threading.Event) -> None:
    """Wait until the component answers. Raises ComponentError with the end of its log when it does not."""
    deadline = time.monotonic() + component.start_seconds
    ask = _first_ask(component)
    while True:
        answered = health.check(ask, settings)
        if answered.healthy:
            return
        starts = supervisor.process(component.name).starts
        if cancelled.is_set():
            raise ComponentError(f"{component.title} was not waited for: another component failed")
        if time.monotonic() > deadline or starts >= STARTS_BEFORE_FAILURE:
            why = f"ended {starts - 1} times" if starts >= STARTS_BEFORE_FAILURE else f"says: {answered.answer}"
            raise ComponentError(
                f"{component.title} at {component.address(settings)} does not come up; it {why}\n"
                + log_end(settings, component.name),
                remedy=f"mend what its log says (lake logs {component.name}), then `lake up` again",
            )
        time.sleep(POLL_SECONDS)


def _first_ask(component: Component) -> Callable[[Settings], str]:
    """What shows that it came up: the bucket need not be there before `finish` made it."""
    if component.name != "store":
        return component.ask

    def ask(settings: Settings) -> str:
        s3.ensure_bucket(settings)
        return s3.ask(settings)

    return ask


def log_end(settings: Settings, name: str, lines: int = 12) -> str:
    """The last lines of a component's log, indented."""
    path = settings.state_dir / "logs" / f"{name}.log"
    if not path.exists():
        return ""
    last = path.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line[:300]}" for line in last)


def _check_external(component: Component, settings: Settings) -> None:
    answered = health.check(component.ask, settings)
    if not answered.healthy:
        raise ComponentError(
            f"{component.title} at {component.address(settings)} does not answer: {answered.answer}",
            remedy=answered.remedy or f"start it, or correct LAKE_{component.external[0].upper()}",
        )


def _stop_all(settings: Settings, report: Report) -> list[str]:
    supervisor = Supervisor(settings)
    if supervisor.is_running():
        with ThreadPoolExecutor(len(COMPONENTS)) as pool:
            for wave in stop_order():
                list(pool.map(lambda name: _stop(supervisor, name, report), wave))
        supervisor.shutdown()
    ended = processes.end_leftovers(settings)
    for path in (supervisor.socket, supervisor.pid_file):
        path.unlink(missing_ok=True)
    return ended


def _stop(supervisor: Supervisor, name: str, report: Report) -> None:
    report(name, "stopping")
    supervisor.stop_program(name)
    report(name, "stopped")
