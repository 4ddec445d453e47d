"""The processes of a stack as the operating system sees them: what they use, and which were left behind."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from catalog.settings import MARKER, Settings
from stack import postgres

END_SECONDS = 8.0
GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


@dataclass(frozen=True)
class Usage:
    """CPU-seconds since their start, ended children included, and resident memory of a process and its descendants."""

    cpu_seconds: float
    memory_bytes: int
    processes: int


def usage(pid: int) -> Usage:
    """What the process tree uses. Memory shared between processes is counted once where the system can tell."""
    cpu, memory, count = 0.0, 0, 0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
            memory += _memory(process)
        except (*GONE, psutil.AccessDenied):
            continue
        cpu += times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        count += 1
    return Usage(cpu, memory, count)


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Living processes that belong to this state folder, supervisord included; never ourselves."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and belongs(process, settings)]


def belongs(process: psutil.Process, settings: Settings) -> bool:
    """Whether the process is one of this state folder's: by its environment, or as a Postgres by its folder."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(MARKER, "").partition("@")[2] == str(settings.state_dir):
            return True
        # Postgres writes its title over its environment
        return process.name() == "postgres" and process.cwd() == str(postgres.data_dir(settings))
    except (*GONE, psutil.AccessDenied):
        return False


def owner(process: psutil.Process) -> str:
    """`name@state folder` of a stack's process; empty for any other."""
    try:
        return process.environ().get(MARKER, "")
    except (*GONE, psutil.AccessDenied):
        return ""


def end_leftovers(settings: Settings) -> list[str]:
    """End every process of this state folder, supervisord first, and name them. They get time to end in order."""
    found = leftovers(settings)
    names = [f"{process.pid} {_name(process)}" for process in found]
    for process in sorted(found, key=lambda each: not owner(each).startswith("supervisor@")):
        _signal(process, terminate=True)
    _, stubborn = psutil.wait_procs(found, END_SECONDS)
    for process in stubborn:
        _signal(process, terminate=False)
    psutil.wait_procs(stubborn, END_SECONDS)
    return names


def _signal(process: psutil.Process, *, terminate: bool) -> None:
    try:
        if not terminate:
            process.kill()
        elif process.name() == "postgres":
            process.send_signal(2)  # fast shutdown; a backend merely cancels its query
        else:
            process.terminate()
    except GONE:
        return


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except GONE:
        return []


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (AttributeError, psutil.AccessDenied):
        return int(process.memory_info().rss)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except GONE:
        return "ended"
