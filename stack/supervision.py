"""supervisord, one per state folder: it restarts what crashes and rotates the logs. Spoken to over its own socket.

Only the main process gets the stop signal (a driver ends its JVM itself, in order); whoever overstays is killed with
its whole group.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import Settings
from stack import commands, configuration
from stack.components import COMPONENTS, Component
from stack.launch import read_starts

LONGEST_SOCKET_PATH = 90
"""A socket's path is limited to 107 bytes, and supervisord adds its process id for a moment."""
START_SECONDS = 15
RUNNING, STARTING, BACKOFF = "RUNNING", "STARTING", "BACKOFF"
"""BACKOFF: it failed to start, and a pause passes before the next attempt."""


@dataclass(frozen=True)
class Process:
    """One component as supervisord sees it; `starts` counts since the stack was last told to start it."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: float
    starts: int


class Supervisor:
    """The supervisord of one state folder. Methods raise ComponentError when it does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.socket = socket_path(settings)
        self.configuration = configuration.path(settings, "supervisord.conf")
        self.pid_file = settings.state_dir / "supervisor.pid"

    def is_running(self) -> bool:
        """Whether it answers."""
        try:
            self._call("getPID")
        except ComponentError:
            return False
        return True

    def start(self) -> None:
        """Start it with the present configuration; when it runs with another one, that is an error of the caller."""
        (self._settings.state_dir / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.unlink(missing_ok=True)
        configuration.write(self.configuration, self.rendered())
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.configuration)]
        environment = commands.basic_environment("supervisor", self._settings)
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
        if done.returncode:
            raise ComponentError(f"supervisord does not start: {(done.stderr or done.stdout).strip()[-500:]}")
        deadline = time.monotonic() + START_SECONDS
        while not self.is_running():
            if time.monotonic() > deadline:
                raise ComponentError("supervisord does not answer", remedy="lake logs supervisor")
            time.sleep(0.05)

    def is_current(self) -> bool:
        """Whether its configuration is the one that would be written now."""
        return self.configuration.exists() and self.configuration.read_text() == self.rendered()

    def rendered(self) -> str:
        """The text of its configuration."""
        logs = _ini(self._settings.state_dir / "logs")
        shared = {"logs": logs, "python": _ini(sys.executable), "launch": _ini(Path(__file__).with_name("launch.py"))}
        programs = [
            configuration.render(
                "program.conf",
                {
                    **shared,
                    "name": each.name,
                    "file": _ini(configuration.path(self._settings, f"{each.name}.json")),
                    "stop_signal": each.stop_signal,
                    "stop_seconds": each.stop_seconds,
                },
            )
            for each in COMPONENTS
        ]
        values = {
            "logs": logs,
            "pid_file": _ini(self.pid_file),
            "socket": _ini(self.socket),
            "user": "user = root\n" if os.geteuid() == 0 else "",
            "programs": "".join(programs),
        }
        return configuration.render("supervisord.conf", values)

    def write_command(self, component: Component) -> bool:
        """Write what the component is run with; True when that changed."""
        command = component.command(self._settings)
        environment = commands.basic_environment(component.name, self._settings) | dict(command.environment)
        launch = {
            "command": command.arguments,
            "environment": environment,
            "directory": str(command.directory),
            "orphan_signal": component.orphan_signal,
            "starts": str(self._starts(component.name)),
        }
        return configuration.write(
            configuration.path(self._settings, f"{component.name}.json"), json.dumps(launch, indent=1, sort_keys=True)
        )

    def start_program(self, name: str) -> None:
        """Have the component started; harmless when it runs."""
        if self.process(name).state in (RUNNING, STARTING):
            return  # one in BACKOFF is started anew, without the pause
        self.stop_program(name)
        self._starts(name).unlink(missing_ok=True)
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise ComponentError(f"{name} cannot be started: {fault.faultString}") from fault

    def stop_program(self, name: str) -> None:
        """Stop the component and wait until it has ended; harmless when it is stopped."""
        try:
            self._call("stopProcess", name, True)
        except xmlrpc.client.Fault as fault:
            # a configuration of older times may not know the name
            if fault.faultCode not in (Faults.BAD_NAME, Faults.NOT_RUNNING):
                raise ComponentError(f"{name} cannot be stopped: {fault.faultString}") from fault

    def process(self, name: str) -> Process:
        """One component."""
        return self._process(self._call("getProcessInfo", name))

    def processes(self) -> dict[str, Process]:
        """All components by name; none when supervisord is not running."""
        try:
            infos = self._call("getAllProcessInfo")
        except ComponentError:
            return {}
        return {info["name"]: self._process(info) for info in infos}

    def shutdown(self, *, seconds: float = 90) -> None:
        """End supervisord, and with it what it still runs."""
        pid = self._call("getPID")
        self._call("shutdown")
        try:
            psutil.Process(pid).wait(seconds)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired as slow:
            raise ComponentError(f"supervisord, process {pid}, does not end", remedy=f"kill -9 {pid}") from slow

    def _starts(self, name: str) -> Path:
        return self._settings.state_dir / "config" / f"{name}.starts"

    def _process(self, info: dict[str, Any]) -> Process:
        starts = read_starts(str(self._starts(info["name"])))
        since = time.time() - starts[-1] if starts and info["pid"] else 0.0
        return Process(
            name=info["name"],
            state=BACKOFF if since < 0 else info["statename"],
            pid=info["pid"] or None,
            uptime_seconds=max(0.0, since),
            starts=len(starts),
        )

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, xmlrpc.client.ProtocolError) as silent:
            raise ComponentError(
                f"supervisord does not answer at {self.socket}: {silent}", remedy="lake up"
            ) from silent
        finally:
            transport.close()


def socket_path(settings: Settings) -> Path:
    """In the state folder, or in a private folder of its own where that path is too long for a socket."""
    path = settings.state_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(settings.state_dir)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"lakehouse-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigurationError(f"{folder} belongs to others", remedy="remove it, or choose a shorter LAKE_STATE_DIR")
    return folder / "supervisor.sock"


def _ini(value: object) -> str:
    """A value in supervisord's configuration, where % begins an expansion and ` ;` a comment."""
    text = str(value)
    if any(character in text for character in ';"\n'):
        raise ConfigurationError(f"the path {text!r} cannot be used", remedy='choose one without ; " or a line break')
    return text.replace("%", "%%")
