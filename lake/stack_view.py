"""What the stack's commands look like in a terminal."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from catalog.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.finding import Finding
    from stack.components import Component
    from stack.control import State

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "ready": "green", "failed": "bold red", "stopped": "dim"}
DONE = ("ready", "failed", "stopped")


class Progress:
    """A line per component with its phase and seconds; plain lines where there is no terminal."""

    def __init__(self, names: list[str], console: Console) -> None:
        self._console = console
        self._width = max(map(len, names))
        self._phases = dict.fromkeys(names, "waiting")
        self._since = dict.fromkeys(names, time.monotonic())
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()
        self._spinner = Spinner("dots")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def report(self, name: str, phase: str) -> None:
        """Note a component's phase; called from any thread."""
        with self._lock:
            if self._phases.get(name) == "waiting":
                self._since[name] = time.monotonic()
            self._phases[name] = phase
            if phase in DONE:
                self._ended[name] = time.monotonic() - self._since.get(name, time.monotonic())
        if not self._console.is_terminal and phase in DONE:
            self._console.print(f"{name:{self._width}} {phase} {self._ended[name]:.1f} s", highlight=False)

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            phases = dict(self._phases)
        for name, phase in phases.items():
            seconds = self._ended.get(name, time.monotonic() - self._since[name])
            shown = "" if phase == "waiting" else f"{seconds:5.1f} s"
            mark: RenderableType = " " if phase in DONE or phase == "waiting" else self._spinner
            table.add_row(mark, name, Text(phase, style=STYLES.get(phase, "")), shown)
        return table


def render_addresses(settings: Settings, components: tuple[Component, ...]) -> RenderableType:
    """Where to look once the stack is up."""
    table = Table.grid(padding=(0, 2))
    for component in components:
        if address := component.address(settings):
            table.add_row(component.title, address)
        if component.name == "store" and not component.is_external(settings):
            table.add_row("S3 console", f"http://{settings.host}:{settings.port('s3_console')}")
    own = [component.name for component in components if not component.is_external(settings)]
    return Group(table, render_logins(settings, own))


def render_logins(settings: Settings, names: list[str]) -> RenderableType:
    """Where the passwords of these components' web pages stand."""
    of_store = "s3_access_key in the same file" if settings.object_store == "minio" else "admin"
    logins = {
        "store": ("S3 console", of_store, "s3_secret_key"),
        "airflow-api-server": ("Airflow", "admin", "airflow_admin"),
    }
    file = settings.state_dir / "secrets.json"
    lines = [
        f"{title}: login {login}, password: {secret} in {file}"
        for title, login, secret in (logins[name] for name in names if name in logins)
    ]
    return Text("\n".join(lines), style="dim")


def render_login(settings: Settings) -> RenderableType:
    """Airflow's login itself, for the first start."""
    return Text(f"Airflow: login admin, password {settings.secrets.airflow_admin} (shown this once)", style="bold")


def render_components(states: list[State]) -> RenderableType:
    """The table of components; it fits 80 columns."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("name", "state", "pid", "up", "restarts", "memory", "CPU", "answer", "address"):
        justify: Literal["left", "right"] = "left" if heading in ("name", "state", "address") else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for state in states:
        style = "green" if state.healthy else "bold red" if state.state != "stopped" else "dim"
        table.add_row(
            state.name,
            Text(state.state, style=style),
            str(state.pid or ""),
            duration(state.uptime_seconds) if state.pid else "",
            str(state.restarts or ""),
            f"{state.memory_bytes / (1 << 20):.0f} MiB" if state.pid else "",
            f"{state.cpu_percent:.0f} %" if state.pid else "",
            f"{state.answer_seconds * 1000:.0f} ms" if state.healthy else "",
            Text(state.address.removeprefix("http://")),
        )
    silent = [state for state in states if not state.healthy and state.state != "stopped"]
    return Group(table, *(Text(f"{state.name}: {state.answer}", style="red") for state in silent))


def read_stream(settings: Settings) -> dict[str, Any] | None:
    """What the streaming job last wrote about its tables, with its age in seconds; None when it never did."""
    from stack.health import STREAM_FILE, stream_age_seconds

    path = settings.state_dir / STREAM_FILE
    if not path.exists():
        return None
    written: dict[str, Any] = json.loads(path.read_text())
    return {**written, "age_seconds": round(stream_age_seconds(written), 1)}


def _state(table: dict[str, Any]) -> str:
    return f"{table.get('state', '')}{', append-only' if table.get('append_only') else ''}"


def render_tables(stream: dict[str, Any] | None) -> RenderableType:
    """The mirrored tables as the streaming job last described them."""
    if stream is None:
        return Text("no table yet: the streaming job has not written its status", style="dim")
    table = Table(box=None, header_style="dim")
    for heading in ("table", "state", "rows applied", "quarantined", "LSN", "last commit", "epoch"):
        table.add_column(heading, justify="right" if heading in ("rows applied", "quarantined", "epoch") else "left")
    for name, each in stream.get("tables", {}).items():
        stopped = each.get("state") == "stopped"
        table.add_row(
            name,
            Text(_state(each), style="bold red" if stopped else "green"),
            f"{each.get('rows_applied') or 0:,}",
            f"{each.get('quarantined') or 0:,}",
            str(each.get("lsn") or ""),
            str(each.get("last_commit_at") or ""),
            f"{each.get('last_epoch_seconds') or 0:.2f} s",
        )
    reasons = [
        Text(f"{name}: {each.get('reason', '')}\n  → {each.get('remedy', '')}", style="red")
        for name, each in stream.get("tables", {}).items()
        if each.get("state") == "stopped"
    ]
    age = Text(f"stream {stream.get('state')}, as of {stream['age_seconds']:.0f} s ago", style="dim")
    return Group(Text(""), table, *reasons, _render_realtime(stream.get("realtime", {})), age)


def render_verified(found: list[dict[str, Any]], now: datetime) -> RenderableType:
    """What the last verification of each table found, and how long ago."""
    lines = []
    for each in found:
        ago = duration((now - datetime.fromisoformat(each["checked_at"])).total_seconds())
        rows, style = f"{each['rows_compared']:,} rows, checked {ago} ago", "green"
        verdict = f"equal as of LSN {each.get('lsn', 'unknown')}"
        if each["unverified"]:
            verdict, style = f"not verified: {each['unverified'].splitlines()[0]}", "yellow"
        elif not each["equal"]:
            verdict, style = (
                f"differs as of LSN {each.get('lsn', 'unknown')}, lake verify {each['table']} shows where",
                "bold red",
            )
        lines.append(Text(f"{each['table']}: {verdict}, {rows}", style=style))
    return Group(*lines)


def _render_realtime(realtime: dict[str, Any]) -> RenderableType:
    """The real-time tables in a line: how far they are, and why they are not."""
    state, reason = realtime.get("state", "waiting"), realtime.get("reason", "")
    if state != "running":
        return Text(f"real-time tables: {state} {reason}".rstrip(), style="red" if reason else "dim")
    offsets = ", ".join(str(offset) for offset in realtime["position"].values())
    behind = realtime.get("seconds_behind_source")
    lag = "" if behind is None else f", last change {behind:.1f} s after its commit"
    return Text(f"real-time tables: at offset {offsets}{lag}, {realtime.get('alerts', 0)} alerts open", style="green")


def render_checks(checks: Sequence[Finding]) -> RenderableType:
    """The doctor's findings, each with its remedy below it."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        found = Text(check.found)
        if check.remedy:
            found.append(f"\n→ {check.remedy}", style="bold")
        table.add_row(Text(check.state, style=STYLES[check.state]), check.name, found)
    return table


def settings_rows(settings: Settings) -> list[dict[str, str]]:
    """Every setting: variable, value, default and description. Secrets are hidden."""
    rows = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        default = "" if field.default in (None, PydanticUndefined) else str(field.default)
        shown = "(hidden)" if isinstance(value, SecretStr) else "" if value is None else str(value)
        variable = f"{PREFIX}{name}".upper()
        rows.append({"setting": variable, "value": shown, "default": default, "description": field.description or ""})
    return rows


def render_settings(settings: Settings) -> RenderableType:
    """The table of settings; what differs from its default is bold."""
    table = Table(box=None, header_style="dim")
    for heading in ("setting", "value", "default", "description"):
        table.add_column(heading, overflow="fold")
    for row in settings_rows(settings):
        style = "bold" if row["value"] != row["default"] else ""
        default = "" if row["value"] == row["default"] else row["default"]
        table.add_row(row["setting"], Text(row["value"], style=style), default, row["description"])
    return table


def duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `12 min`, `3 h 05`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d}"
