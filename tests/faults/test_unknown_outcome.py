"""Commits whose answer never comes: the REST catalog has them, or gets them only later, and nothing lands twice."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from catalog.settings import PROJECT
from conformance.lossy_catalog import LATE_SECONDS, LossyCatalog
from stack.supervision import Supervisor

MAIN = ("payment_types", "trips", "vendors")


@pytest.fixture
def lossy(stack) -> Iterator[LossyCatalog]:
    with LossyCatalog(stack.settings.catalog, ["trips"]).serving() as server:
        yield server


@contextmanager
def streaming_through(stack, address: str, log) -> Iterator[None]:
    """The real job in the place of the stack's own, with another address of the REST catalog."""
    supervisor = Supervisor(stack.settings)
    supervisor.stop_program("stream")
    before = stack.status()["pid"]
    job = subprocess.Popen(
        [sys.executable, "-P", "-m", "streaming"],
        env=stack.environment | {"LAKE_CATALOG_URI": address},
        cwd=PROJECT,
        stdout=log,
        stderr=log,
    )
    try:
        stack.until(lambda: stack.status()["pid"] != before and stack.status()["state"] == "running", "it streams")
        yield
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(90)
        supervisor.start_program("stream")


def test_a_commit_whose_answer_is_lost_lands_once(stack, lossy, tmp_path):
    stack.verified(*MAIN)
    with open(tmp_path / "log", "w") as log, streaming_through(stack, lossy.address, log):
        for fate in ("answer", "late", "answer"):
            lossy.lose.append(fate)
            stack.traffic(40, seed=50 + len(lossy.lost))
            stack.until(lambda: not lossy.lose, "a commit lost its answer")
            time.sleep(LATE_SECONDS if fate == "late" else 0)
        report = stack.verified(*MAIN, seconds=180)
    assert lossy.lost == ["answer", "late", "answer"]
    assert sum(table.duplicate_events for table in report.tables) == 0
    assert "a commit without an answer had landed" in (tmp_path / "log").read_text()
    stack.real_time_verified()
