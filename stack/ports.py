"""Ports: which are taken, by whom, and which setting moves them."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

from catalog.settings import PREFIX, Settings
from stack import processes
from stack.components import Component


@dataclass(frozen=True)
class Port:
    """One port of a component. `holder` is empty when it is free; `ours` says that this stack holds it."""

    component: str
    setting: str
    number: int
    holder: str
    ours: bool

    @property
    def remedy(self) -> str:
        """How to get it free or move it."""
        variable = f"{PREFIX}{self.setting.partition('+')[0]}".upper()
        return f"end that process, or set {variable} or LAKE_PORT_OFFSET to move the port"


def survey(components: tuple[Component, ...], settings: Settings) -> list[Port]:
    """Look at every port of these components."""
    listening: dict[int, psutil.Process | None] | None = None
    ports = []
    for component in components:
        for setting, number in component.port_numbers(settings).items():
            if not 0 < number < 65536:
                ports.append(Port(component.name, setting, number, "no such port number", ours=False))
                continue
            if is_free(settings.host, number):
                ports.append(Port(component.name, setting, number, "", ours=False))
                continue
            listening = _listening() if listening is None else listening
            holder, ours = _describe(listening.get(number), settings)
            ports.append(Port(component.name, setting, number, holder, ours))
    return ports


def is_free(host: str, number: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, number))
            attempt.listen(1)
        except OSError:
            return False
    return True


def _describe(holder: psutil.Process | None, settings: Settings) -> tuple[str, bool]:
    if holder is None:
        return "a process of another user", False
    mark = processes.owner(holder)
    name, _, folder = mark.partition("@")
    if folder == str(settings.state_dir) or processes.belongs(holder, settings):
        return f"this stack's {name or 'postgres'}", True
    try:
        described = f"{holder.name()} (process {holder.pid})"
    except psutil.NoSuchProcess:
        return "a process that has just ended", False
    return (f"{name} of the stack in {folder}, process {holder.pid}" if mark else described), False


def _listening() -> dict[int, psutil.Process | None]:
    """Who listens on which TCP port; None for a process that we may not see."""
    found: dict[int, psutil.Process | None] = {}
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return found
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            try:
                found[connection.laddr.port] = psutil.Process(connection.pid) if connection.pid else None
            except psutil.NoSuchProcess:
                continue
    return found
