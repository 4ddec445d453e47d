"""What must be right before anything is started. `lake doctor` shows all of it, `lake up` insists on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from catalog import java
from catalog.errors import ConfigurationError
from catalog.finding import Finding, State
from catalog.settings import Settings
from stack import airflow, commands, health, jars, ports, postgres, prometheus
from stack.component import Component
from stack.components import component
from stack.jars import Jars
from stack.supervision import Supervisor, socket_path

GIB = 1 << 30
LOW_DISK_GIB, NO_DISK_GIB = 5.0, 1.0
LOW_MEMORY_GIB, NO_MEMORY_GIB = 4.0, 1.5
GROUP_GIB = {"airflow": 3.0, "serving": 0.7, "trino": 1.5}
"""What a group needs besides the core."""
OWN_LOGINS = {
    "source_host": ("taxi_password", "cdc_password"),
    "s3_endpoint": ("s3_access_key", "s3_secret_key"),
}
"""Settings that say that others run it, with the logins that we then cannot make up."""
WITH_JARS = {"kafka", "connect", "catalog", "stream", "spark-worker"}


def run(settings: Settings, components: tuple[Component, ...]) -> list[Finding]:
    """Every check of what these components need, in the order in which a person would mend what they name."""
    of_others = [each for each in components if each.is_external(settings)]
    components = tuple(each for each in components if not each.is_external(settings))
    names = {component.name for component in components}
    is_up = Supervisor(settings).is_running()
    checks = [_host(settings), _state_dir(settings), _disk(settings), _memory(is_up, components)]
    if names & WITH_JARS:
        checks.append(_found("Java", lambda: str(java.find_java(settings))))
        checks.append(_jars(Jars()))
    if "postgres" in names:
        checks.append(_found("Postgres", lambda: f"{postgres.version()} in {postgres.binary('postgres').parent}"))
        checks.append(_found("Postgres user", lambda: _postgres_user(settings)))
    if "store" in names:
        checks.append(_found("object store", lambda: str(commands.store_binary(settings))))
    if "airflow-api-server" in names:
        checks.append(_found("Airflow", lambda: _airflow(settings)))
    if "trino" in names:
        checks.append(_found("JDK for Trino", lambda: str(java.find_java(settings, java.TRINO))))
        checks.append(_jars(jars.TRINO))
    if "prometheus" in names:
        checks.append(_found("Prometheus", lambda: str(prometheus.binary())))
    checks.append(Finding("supervisor", "ok", "running" if is_up else "not running"))
    return checks + _ports(components, settings) + _of_others(settings, of_others)


def require(settings: Settings, components: tuple[Component, ...]) -> None:
    """Raise ConfigurationError, one line for each failed check, unless all is well."""
    failed = [check for check in run(settings, components) if check.state == "fail"]
    if not failed:
        return
    first, *others = failed
    lines = [f"{first.name}: {first.found}"]
    if not others:
        raise ConfigurationError(lines[0], remedy=first.remedy)
    lines = [f"{check.name}: {check.found}\n  → {check.remedy}" for check in failed[:-1]]
    last = failed[-1]
    raise ConfigurationError("\n".join([*lines, f"{last.name}: {last.found}"]), remedy=last.remedy)


def _of_others(settings: Settings, components: list[Component]) -> list[Finding]:
    """What others run: whether we were given logins and, if so, whether it answers us."""
    checks = []
    for name, logins in OWN_LOGINS.items():
        for login in logins if getattr(settings, name) is not None else ():
            if getattr(settings, login) is None:
                variable, found = f"LAKE_{login.upper()}", f"not set, but LAKE_{name.upper()} is"
                checks.append(Finding(variable, "fail", found, f"set {variable}; a generated one opens nothing there"))
    if checks:
        return checks
    asked = [(each.title, each.ask, each.address(settings), each.external[0]) for each in components]
    if settings.source_host is not None and not any(each.name == "postgres" for each in components):
        asked.append(("source", postgres.ask_source, "{}:{}".format(*settings.source_address), "source_host"))
    for title, ask, address, setting in asked:
        answered = health.check(ask, settings)
        found = f"{title} at {address}: {answered.answer}"
        remedy = answered.remedy or f"start it, or correct LAKE_{setting.upper()}"
        checks.append(Finding("own", "ok", found) if answered.healthy else Finding("own", "fail", found, remedy))
    return checks


def _found(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except ConfigurationError as missing:
        return Finding(name, "fail", str(missing.args[0]), missing.remedy)


def _postgres_user(settings: Settings) -> str:
    drop = postgres.drop_privileges(settings) if settings.state_dir.exists() else ()
    return "an unprivileged system user" if drop or os.geteuid() == 0 else "this user"


def _airflow(settings: Settings) -> str:
    if settings.airflow_postgres is None and component("postgres").is_external(settings):
        remedy = "set LAKE_AIRFLOW_POSTGRES=host:port, where a role airflow owns a database airflow"
        raise ConfigurationError(
            "the embedded Postgres, which would hold Airflow's database, is not run", remedy=remedy
        )
    return str(airflow.binary())


def _host(settings: Settings) -> Finding:
    if settings.host.startswith("127.") or settings.host in ("::1", "localhost"):
        return Finding("address", "ok", settings.host)
    remedy = "unset LAKE_HOST and put a proxy in front of what others shall reach"
    return Finding("address", "fail", f"LAKE_HOST={settings.host} is not loopback", remedy)


def _state_dir(settings: Settings) -> Finding:
    existing = _nearest(settings.state_dir)
    if not existing.is_dir():
        return Finding("state folder", "fail", f"{existing} is not a folder", "set LAKE_STATE_DIR to another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = "set LAKE_STATE_DIR to a folder that you may write"
        return Finding("state folder", "fail", f"{existing} is not writable", remedy)
    try:
        socket_path(settings)
    except ConfigurationError as unusable:
        return Finding("state folder", "fail", str(unusable.args[0]), unusable.remedy)
    return Finding("state folder", "ok", str(settings.state_dir))


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_nearest(settings.state_dir)).free / GIB
    state: State = "fail" if free < NO_DISK_GIB else "warn" if free < LOW_DISK_GIB else "ok"
    remedy = "" if state == "ok" else f"free at least {LOW_DISK_GIB:.0f} GiB there, or move LAKE_STATE_DIR"
    return Finding("disk", state, f"{free:.1f} GiB free for {settings.state_dir}", remedy)


def _memory(is_up: bool, components: tuple[Component, ...]) -> Finding:
    free = psutil.virtual_memory().available / GIB
    needed = LOW_MEMORY_GIB + sum(GROUP_GIB.get(group, 0) for group in {each.group for each in components})
    state: State = "ok" if is_up or free >= needed else "fail" if free < NO_MEMORY_GIB else "warn"
    remedy = "" if state == "ok" else f"end other programs: the stack needs about {needed:.0f} GiB"
    return Finding("memory", state, f"{free:.1f} GiB available", remedy)


def _jars(wanted: Jars) -> Finding:
    name, problems = f"jars {wanted.name}".rstrip(), jars.problems(wanted)
    if not problems:
        return Finding(name, "ok", f"complete in {wanted.lib}")
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return Finding(name, "fail", f"{problems[0]}{more}", wanted.remedy)


def _ports(components: tuple[Component, ...], settings: Settings) -> list[Finding]:
    surveyed = ports.survey(components, settings)
    checks = [
        Finding(f"port {port.number}", "ok", f"{port.component}: {'held by this stack' if port.ours else 'free'}")
        for port in surveyed
        if port.ours or not port.holder
    ]
    foreign = [port for port in surveyed if port.holder and not port.ours]
    for holder in dict.fromkeys(port.held_by for port in foreign):
        taken = [port for port in foreign if port.held_by == holder]
        needed = ", ".join(f"{port.number} ({port.component})" for port in taken)
        remedy = taken[0].remedy if len(taken) == 1 else ports.REMEDY
        checks.append(Finding("port" if len(taken) == 1 else "ports", "fail", f"{needed} held by {holder}", remedy))
    return checks


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
