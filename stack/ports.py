"""Ports: which are taken, by whom, and which setting moves them."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

from catalog.settings import PREFIX, Settings
from stack import processes
from stack.components import Component

REMEDY = "end it, or set LAKE_PORT_OFFSET to another multiple of 10000; `lake doctor --settings` lists single ports"


@dataclass(frozen=True)
class Port:
    """One port of a component; `holder` is empty when it is free, `stack` the state folder of the stack that has it."""

    component: str
    setting: str
    number: int
    holder: str = ""
    stack: str = ""
    ours: bool = False

    @property
    def held_by(self) -> str:
        """The holder in words; one and the same for all ports of another stack."""
        return f"the stack in {self.stack}" if self.stack else self.holder

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
                ports.append(Port(component.name, setting, number, "no such port number"))
                continue
            if is_free(settings.host, number):
                ports.append(Port(component.name, setting, number))
                continue
            listening = _listening() if listening is None else listening
            holder, stack = _describe(listening.get(number), settings)
            ports.append(Port(component.name, setting, number, holder, stack, stack == str(settings.state_dir)))
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


def _describe(holder: psutil.Process | None, settings: Settings) -> tuple[str, str]:
    """Who holds a port, and the state folder if that is a stack."""
    if holder is None:
        return "a process of another user", ""
    name, _, folder = processes.owner(holder).partition("@")
    if folder:
        return name, folder
    if processes.belongs(holder, settings):
        return "postgres", str(settings.state_dir)
    try:
        return f"{holder.name()} (process {holder.pid})", ""
    except psutil.NoSuchProcess:
        return "a process that has just ended", ""


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
