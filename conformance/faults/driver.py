"""The streaming driver: killed at its steps, without answers, without its checkpoint, and beside a second one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from catalog.settings import PROJECT
from conformance.breakable import STEPS
from conformance.faults.fault import Fault, Ground
from conformance.lossy_catalog import LATE_SECONDS

TOGETHER_SECONDS = 8.0


def _crash(step: str) -> Fault:
    def inject(ground: Ground) -> None:
        pid = ground.pid("stream")
        ground.breakable.crash_file.write_text(step)
        ground.until(lambda: ground.states()["stream"].pid not in (None, pid), f"the stream came to {step}")

    module, _, method, when = step.split()
    return Fault(f"crash {when} {module}.{method}", f"the stream kills itself {when} {module}.{method}", inject)


def _lose(fate: str) -> Callable[[Ground], None]:
    def inject(ground: Ground) -> None:
        lossy = ground.breakable.lossy
        lossy.lose.append(fate)
        ground.until(lambda: not lossy.lose, "a commit lost its answer")
        time.sleep(LATE_SECONDS if fate == "late" else 0)

    return inject


def _forget_checkpoint(ground: Ground) -> None:
    shutil.rmtree(ground.settings.state_dir / "checkpoints", ignore_errors=True)


def _second_driver(ground: Ground) -> None:
    """It has a state folder of its own, so that no lock or checkpoint keeps the two apart."""
    with tempfile.TemporaryDirectory(prefix="second-driver-") as name:
        folder, settings = Path(name), ground.settings
        for file in ("secrets.json", "tables.json"):
            with suppress(FileNotFoundError):
                shutil.copy2(settings.state_dir / file, folder / file)
        ports = {"LAKE_SPARK_UI_PORT": str(settings.spark_ui_port + 5), "LAKE_STREAM_METRICS_PORT": "9417"}
        environment = os.environ | {"LAKE_STATE_DIR": name} | ports
        with open(folder / "log", "w") as log:
            command = [sys.executable, "-P", "-m", "streaming"]
            job = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=log, stderr=log)
        try:
            said = folder / "stream.json"
            ground.until(lambda: said.exists() and '"state": "running"' in said.read_text(), "the second driver runs")
            time.sleep(TOGETHER_SECONDS)
        finally:
            job.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                job.wait(60)
            job.kill()
            job.wait()


FAULTS = (
    *(_crash(step) for step in STEPS),
    Fault("answer dropped", "a commit lands in the REST catalog, and its answer is lost", _lose("answer")),
    Fault("answer delayed", "the connection breaks, and the commit lands seconds later", _lose("late")),
    Fault("checkpoint deleted", "rm -r of Spark's checkpoint", _forget_checkpoint),
    Fault("second driver", "a second streaming driver works on the same tables for some seconds", _second_driver),
)
