"""What the stack's processes on this machine use: CPU, memory and disk, by component."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
from cachetools import TTLCache, cached

from catalog.settings import MARKER

LOOK_SECONDS, SIZE_SECONDS = 5.0, 60.0
"""How long a look at processes, and at the sizes of folders, is kept."""
_REFUSED = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


class Processes:
    """The processes of one state folder. Shares of CPU are of the time between two looks, so the first knows none."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._before: tuple[float, dict[int, float]] | None = None
        self._lock = threading.Lock()
        self.usage = cached(TTLCache(1, LOOK_SECONDS), lock=threading.Lock())(self._usage)
        self.disk = cached(TTLCache(1, SIZE_SECONDS), lock=threading.Lock())(self._disk)

    def _usage(self) -> list[dict[str, Any]]:
        """By component, in order of name; those that this user may not look at are left out."""
        with self._lock:
            found: dict[str, list[tuple[int, float, int]]] = defaultdict(list)
            for process in psutil.process_iter():
                try:
                    if component := _component(process, self._state_dir):
                        times = process.cpu_times()
                        found[component].append((process.pid, times.user + times.system, _memory(process)))
                except _REFUSED:
                    continue
            now, before = time.monotonic(), self._before
            self._before = now, {pid: cpu for each in found.values() for pid, cpu, _ in each}
        return [
            {
                "name": name,
                "processes": len(each),
                "cpu_seconds": sum(cpu for _, cpu, _ in each),
                "cpu_percent": _percent(each, before, now),
                "memory_bytes": sum(memory for *_, memory in each),
            }
            for name, each in sorted(found.items())
        ]

    def _disk(self) -> dict[str, Any]:
        """Free and total bytes of the disk, and what each folder of the state holds."""
        total, _, free = shutil.disk_usage(self._state_dir)
        with os.scandir(self._state_dir) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        sizes = [{"name": name, "bytes": _size(self._state_dir / name)} for name in folders]
        return {"total_bytes": total, "free_bytes": free, "folders": sizes}


def _component(process: psutil.Process, state_dir: Path) -> str:
    """The component that a process belongs to, empty for a foreign one."""
    name, _, folder = process.environ().get(MARKER, "").partition("@")
    if folder:
        return name if folder == str(state_dir) else ""
    # Postgres writes its title over its environment
    is_ours = process.name() == "postgres" and Path(process.cwd()).is_relative_to(state_dir)
    return "postgres" if is_ours else ""


def _percent(
    each: list[tuple[int, float, int]], before: tuple[float, dict[int, float]] | None, now: float
) -> float | None:
    """Of one core; a process that is new since the look before counts from its start."""
    if before is None or now - before[0] < 1:
        return None
    used = sum(max(0.0, cpu - before[1].get(pid, 0.0)) for pid, cpu, _ in each)
    return round(100 * used / (now - before[0]), 1)


def _memory(process: psutil.Process) -> int:
    """Bytes; what processes share is divided among them where the system can tell."""
    try:
        return int(process.memory_full_info().pss)
    except (AttributeError, psutil.AccessDenied):
        return int(process.memory_info().rss)


def _size(folder: Path) -> int:
    """Bytes that the files below a folder take on the disk; files that go away meanwhile count nothing."""
    size = 0
    for parent, _, names in os.walk(folder, onerror=None):
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except (FileNotFoundError, PermissionError):
                continue
    return size
