"""A clock that steps, of one process alone: libfaketime, never the machine's.

The stream is left out: with libfaketime 0.9.10 Python's `subprocess` fails at random (EINVAL).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from catalog.settings import Settings
from conformance.faults.fault import Fault, Ground
from stack import configuration
from stack.supervision import Supervisor

COMPONENTS = ("postgres", "kafka", "connect", "catalog")
HOURS = (-1, 1)
STEPPED_SECONDS = 12.0


def _library() -> str:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else ""


def _cannot(settings: Settings) -> str:
    return "" if _library() else "libfaketime is missing: apt-get install libfaketime"


def _step(component: str) -> Fault:
    def inject(ground: Ground) -> str:
        file = configuration.path(ground.settings, f"{component}.json")
        launch = file.read_text()
        stepped = json.loads(launch)
        stepped["environment"] |= {
            "LD_PRELOAD": _library(),
            "FAKETIME": f"{ground.chance.choice(HOURS):+d}h",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        _restart(ground, component, json.dumps(stepped, indent=1, sort_keys=True))
        time.sleep(STEPPED_SECONDS)
        return launch

    def heal(ground: Ground, launch: str) -> None:
        _restart(ground, component, launch)

    return Fault(
        f"clock {component}", f"the clock of {component} steps by an hour, and back", inject, heal, cannot=_cannot
    )


def _restart(ground: Ground, component: str, launch: str) -> None:
    supervisor = Supervisor(ground.settings)
    configuration.write(configuration.path(ground.settings, f"{component}.json"), launch)
    supervisor.stop_program(component)
    supervisor.start_program(component)


FAULTS = tuple(_step(component) for component in COMPONENTS)
