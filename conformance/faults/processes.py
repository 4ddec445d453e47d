"""Processes that die or stand still."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil

from conformance.faults.fault import Fault, Ground

COMPONENTS = ("stream", "connect", "kafka", "catalog", "store", "postgres")
LONGEST_STOP_SECONDS = 20.0


def _kill(name: str) -> Fault:
    def inject(ground: Ground) -> None:
        pid = ground.pid(name)
        os.kill(pid, signal.SIGKILL)
        ground.until(lambda: ground.states()[name].pid not in (None, pid), f"{name} is started again")

    return Fault(f"kill {name}", f"kill -9 of {name}", inject)


def _kill_java(ground: Ground) -> None:
    pid = ground.pid("stream")
    for child in psutil.Process(pid).children(recursive=True):
        if child.name() == "java":
            child.kill()
    ground.until(lambda: ground.states()["stream"].pid not in (None, pid), "the stream is started again")


def _stop(name: str) -> Fault:
    def inject(ground: Ground) -> int:
        pid = ground.pid(name)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(ground.chance.uniform(2.0, LONGEST_STOP_SECONDS))
        return pid

    def heal(ground: Ground, pid: int) -> None:
        with suppress(ProcessLookupError):  # the supervisor may have put another in its place
            os.kill(pid, signal.SIGCONT)

    return Fault(f"stop {name}", f"{name} stands still (SIGSTOP) for up to {LONGEST_STOP_SECONDS:.0f} s", inject, heal)


FAULTS = (
    *(_kill(name) for name in COMPONENTS),
    Fault("kill java", "kill -9 of the stream's Java process", _kill_java),
    *(_stop(name) for name in COMPONENTS),
)
