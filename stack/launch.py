"""Becomes a component: reads its command and environment from a file and executes it. Run by supervisord.

The file keeps secrets off command lines and out of supervisord's configuration. A component that ends again and again
is started after growing pauses. On Linux it is told to end when supervisord does, however that ends. Only the standard
library is imported, so that a restart costs nothing.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
QUICK_SECONDS = 60.0
"""A component that ran for less than this has failed to start."""
LONGEST_PAUSE_SECONDS = 30.0


def end_with_parent(name: str) -> None:
    """Ask Linux for the signal of this name when the parent, supervisord, is gone. Elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.Signals[f"SIG{name}"].value, 0, 0, 0)
    if os.getppid() == 1:
        sys.exit("supervisord is gone")


def pause_seconds(starts: list[float], now: float) -> float:
    """How long to wait before a start at `now`, after starts at these times: nothing at first, then 1, 2, 4 … 30 s."""
    quick, times = 0, [*starts, now]
    for earlier, later in reversed(list(itertools.pairwise(times))):
        if later - earlier > QUICK_SECONDS:
            break
        quick += 1
    return min(LONGEST_PAUSE_SECONDS, 2.0 ** (quick - 2)) if quick > 1 else 0.0


def read_starts(path: str) -> list[float]:
    """Unix times of the starts since the stack was told to run the component; the last may lie ahead."""
    try:
        with open(path) as file:
            return [float(line) for line in file]
    except (FileNotFoundError, ValueError):
        return []  # none yet, or a line was cut by a full disk: the pauses begin anew


def main(path: str) -> None:
    """Execute the component described in the JSON file at `path`; does not return."""
    with open(path) as file:
        launch = json.load(file)
    os.umask(0o077)
    os.chdir(launch["directory"])
    end_with_parent(launch["orphan_signal"])
    now = time.time()
    pause = pause_seconds(read_starts(launch["starts"]), now)
    with open(launch["starts"], "a") as starts:
        starts.write(f"{now + pause:.3f}\n")
    time.sleep(pause)
    os.execve(launch["command"][0], launch["command"], launch["environment"])


if __name__ == "__main__":
    main(sys.argv[1])
