"""Becomes a component: reads its command and environment from a file and executes it. Run by supervisord.

The file keeps secrets off command lines and out of supervisord's configuration. On Linux the component is told to end
when supervisord does, however that ends. Only the standard library is imported, so that a restart costs nothing.
"""

from __future__ import annotations

import ctypes
import datetime
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent(name: str) -> None:
    """Ask Linux for the signal of this name when the parent, supervisord, is gone. Elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.Signals[f"SIG{name}"].value, 0, 0, 0)
    if os.getppid() == 1:
        sys.exit("supervisord is gone")


def main(path: str) -> None:
    """Execute the component described in the JSON file at `path`; does not return."""
    with open(path) as file:
        launch = json.load(file)
    with open(launch["starts"], "a") as starts:
        starts.write(f"{datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')}\n")
    os.umask(0o077)
    os.chdir(launch["directory"])
    end_with_parent(launch["stop_signal"])
    os.execve(launch["command"][0], launch["command"], launch["environment"])


if __name__ == "__main__":
    main(sys.argv[1])
