"""CPU-seconds and memory by process: this one, its Java virtual machine, and the components of the stack."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from catalog.settings import Settings
from stack.supervision import Supervisor

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)
_FORGET_PEAK = "5"
"""Written to a process's `clear_refs`, Linux counts its peak memory anew: https://man7.org/linux/man-pages/man5/proc.5.html"""

ByProcess = dict[str, float]


@dataclass
class Spending:
    """What a block of work took, filled in at its end."""

    wall_seconds: float = 0.0
    cpu_seconds: ByProcess = field(default_factory=dict)


@dataclass(frozen=True)
class Watched:
    """Processes that are counted, by name; a Java virtual machine below one of them counts as `<name> (JVM)`.

    `ourselves` is the name of this process, empty when it is not counted.
    """

    pids: Mapping[str, int]
    ourselves: str = ""

    @classmethod
    def of(cls, settings: Settings, components: tuple[str, ...], *, ourselves: str = "") -> Watched:
        """Running components of this state folder, and this process as `ourselves` when that is given."""
        known = Supervisor(settings).processes()
        pids = {name: known[name].pid for name in components if name in known}
        return cls({name: pid for name, pid in pids.items() if pid is not None}, ourselves)

    @contextmanager
    def spending(self) -> Iterator[Spending]:
        """Count a block's CPU-seconds and wall time. Reading the others is not counted to ourselves."""
        spending, own = Spending(), _own_processes() if self.ourselves else {}
        before = self._others()
        own_before, workers_before, began = _cpu_of(own), _workers_cpu(own), time.monotonic()
        yield spending
        spending.wall_seconds = round(time.monotonic() - began, 4)
        own_after = _cpu_of(own)
        after = self._others()
        mine = {f"{self.ourselves}{suffix}": own_after[suffix] - own_before[suffix] for suffix in own}
        workers = _workers_cpu(own) - workers_before
        if workers > 0:
            mine[f"{self.ourselves} (Python workers)"] = workers
        others = {name: max(0.0, cpu - before.get(name, 0.0)) for name, cpu in after.items()}
        spending.cpu_seconds = {name: round(cpu, 4) for name, cpu in {**mine, **others}.items()}

    def _others(self) -> ByProcess:
        """CPU-seconds since each process started, ended children included."""
        seconds: ByProcess = {}
        for name, process in self._members():
            times = process.cpu_times()
            children = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            seconds[name] = seconds.get(name, 0.0) + times.user + times.system + children
        return seconds

    def _members(self) -> Iterator[tuple[str, psutil.Process]]:
        for name, pid in self.pids.items():
            for process in _tree(pid):
                try:
                    with process.oneshot():
                        is_java_below = process.pid != pid and process.name() == "java"
                        process.cpu_times()  # one that is gone by now must not end the count
                        yield f"{name} (JVM)" if is_java_below else name, process
                except _GONE:
                    continue

    def _everything(self) -> Iterator[tuple[str, psutil.Process]]:
        yield from self._members()
        for suffix, process in (_own_processes() if self.ourselves else {}).items():
            yield f"{self.ourselves}{suffix}", process

    def forget_peaks(self) -> None:
        """Count peak memory from now on, where the system can."""
        for _, process in self._everything():
            try:
                Path(f"/proc/{process.pid}/clear_refs").write_text(_FORGET_PEAK)
            except OSError:
                continue  # not Linux, or another user's process: its peak is that of its whole life

    def peak_memory(self) -> dict[str, int]:
        """Highest resident bytes of living processes since `forget_peaks`; pages shared between them count for each."""
        peaks: dict[str, int] = {}
        for name, process in self._everything():
            peaks[name] = peaks.get(name, 0) + _peak(process)
        return peaks


def _peak(process: psutil.Process) -> int:
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return int(process.memory_info().rss)
    except (OSError, *_GONE):
        return 0


def _own_processes() -> dict[str, psutil.Process]:
    """This process, and below it the Java virtual machine that Spark runs in, by suffix of the name."""
    own = psutil.Process()
    java = [child for child in _tree(own.pid)[1:] if child.name() == "java"]
    return {"": own, **({" (JVM)": java[0]} if java else {})}


def _workers_cpu(own: Mapping[str, psutil.Process]) -> float:
    """CPU-seconds of Spark's Python workers, below its virtual machine; those that ended count with their parent."""
    seconds = 0.0
    for worker in _tree(own[" (JVM)"].pid)[1:] if " (JVM)" in own else ():
        try:
            seconds += sum(worker.cpu_times()[:4])
        except _GONE:
            continue
    return seconds


def _cpu_of(processes: Mapping[str, psutil.Process]) -> ByProcess:
    seconds: ByProcess = {}
    for name, process in processes.items():
        times = process.cpu_times()
        seconds[name] = times.user + times.system
    own = os.times()
    if "" in seconds:
        seconds[""] = own.user + own.system
    return seconds


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except _GONE:
        return []
