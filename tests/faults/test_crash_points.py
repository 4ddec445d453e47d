"""The streaming job killed between two steps of an epoch or of a copy: what was done is not done again, the rest is."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from catalog.settings import PROJECT
from conformance.breakable import STEPS
from connectors.registration import start_over
from stack.supervision import Supervisor
from streaming.requests import Request, answer, submit

MAIN = ("payment_types", "trips", "vendors")
CRASHING = """
import itertools, os, signal, sys
from importlib import import_module
from streaming import __main__ as job

module, owner, method, when, which = sys.argv[1:]
owner = getattr(import_module(f"streaming.{module}"), owner)
original, calls = getattr(owner, method), itertools.count(1)

def crashing(*arguments, **options):
    number = next(calls)  # several tables call it side by side
    if when == "before" and number == int(which):
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **options)
    if when == "after" and number == int(which):
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, method, crashing)
job.main()
"""


@pytest.fixture
def crash(stack):
    """Runs the streaming job until it kills itself at a step, in the place of the stack's own, which stays stopped."""
    supervisor = Supervisor(stack.settings)

    def run(module: str, owner: str, method: str, when: str, which: int, change) -> None:
        supervisor.stop_program("stream")
        arguments = [sys.executable, "-P", "-c", CRASHING, module, owner, method, when, str(which)]
        with open(stack.settings.state_dir / "logs" / "crashing.log", "w") as log:
            job = subprocess.Popen(
                arguments, env=stack.environment, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True
            )
            try:
                change()
                assert job.wait(120) == -9, f"it reached the step {when} {owner}.{method}"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)  # its Java process, which holds the port of the Spark UI
                job.wait()

    yield run
    supervisor.start_program("stream")


@pytest.fixture
def recovered(stack):
    """Starts the stack's own streaming job after a crash, which must end with equal tables."""

    def check() -> None:
        Supervisor(stack.settings).start_program("stream")
        report = stack.verified(*MAIN, seconds=180)
        assert sum(table.duplicate_events for table in report.tables) == 0

    return check


def test_crashes_inside_epochs(stack, crash, recovered):
    """One after the other: each job has the crash before it to recover from, and further changes."""
    for step in STEPS:
        module, owner, method, when = step.split()
        crash(module, owner, method, when, 1, lambda: stack.traffic(150, seed=41))
    recovered()


@pytest.mark.parametrize(("method", "when", "which"), [("append_copied", "after", 2), ("finish_copy", "before", 1)])
def test_a_crash_inside_an_initial_copy(stack, crash, recovered, method: str, when: str, which: int):
    generation = stack.table("public.trips")["generation"]
    crash("mirror", "Mirror", method, when, which, lambda: start_over(stack.settings))
    Supervisor(stack.settings).start_program("stream")
    stack.until(lambda: stack.table("public.trips").get("generation", 0) > generation, "the copy is whole")
    recovered()


def test_a_crash_inside_a_resync(stack, crash):
    """The changelog has the new generation, the mirror not yet: the request is still there and is done again."""
    request = Request("resync", "public.trips")
    crash("iceberg", "IcebergTable", "overwrite", "before", 1, lambda: submit(stack.settings, request))
    Supervisor(stack.settings).start_program("stream")
    done = stack.until(lambda: answer(stack.settings, request), "the resync is done")
    assert done["rows"] == stack.source("select count(*) from trips")[0][0]
    stack.traffic(50, seed=42)
    stack.verified(*MAIN, seconds=180)
