"""Every process killed by force under traffic: the stack heals by itself, and nothing is lost or written twice."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from catalog.errors import LakehouseError
from connectors.inspection import read_records

MAIN = ("payment_types", "trips", "vendors")
HEAL_SECONDS = 180.0


@contextmanager
def traffic(stack, seed: int) -> Iterator[None]:
    """Real traffic in the background that begins anew after each lost connection, until the end of the block."""
    ended = threading.Event()

    def write() -> None:
        for run in range(seed, seed + 10_000):
            if ended.is_set():
                return
            try:
                stack.traffic(30, seed=run, rate=30)
            except LakehouseError:  # Postgres is away: that is the test
                time.sleep(0.3)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def kill(stack, name: str) -> int:
    pid = stack.states()[name].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    return pid


def healed(stack, name: str, killed: int) -> bool:
    state = stack.states()[name]
    return state.healthy and state.pid != killed


def whole(stack) -> None:
    """Mirrors equal to Postgres, and each changelog holds just what an independent reader finds in its topic, once."""
    stack.verified(*MAIN, seconds=HEAL_SECONDS)
    stack.real_time_verified(HEAL_SECONDS)
    for name in MAIN:
        topic = f"{stack.settings.topic_prefix}.{name}"
        expected = [
            (record.as_json()["value"]["op"], record.partition, record.offset)
            for record in read_records(stack.settings, topic, from_beginning=True)
            if record.value is not None
        ]
        assert stack.changelog(name) == expected


@pytest.mark.parametrize("name", ["connect", "kafka", "catalog", "store", "postgres"])
def test_a_component_killed_under_traffic(stack, name: str):
    with traffic(stack, seed=1000):
        time.sleep(2)
        killed = kill(stack, name)
        stack.until(lambda: healed(stack, name, killed), f"{name} is back", HEAL_SECONDS)
    whole(stack)
    assert all(state.healthy for state in stack.states().values())


def test_the_streams_java_process_killed_under_traffic(stack):
    with traffic(stack, seed=2000):
        time.sleep(2)
        pid = stack.states()["stream"].pid
        (java,) = [child for child in psutil.Process(pid).children(recursive=True) if child.name() == "java"]
        java.kill()
        stack.until(lambda: healed(stack, "stream", pid), "the stream is back", HEAL_SECONDS)
    whole(stack)


def test_the_stream_killed_at_random_moments(stack):
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    moments = random.Random(seed)
    with traffic(stack, seed=3000):
        for _ in range(3):
            pid = stack.until(lambda: stack.states()["stream"].pid, "the stream has a process")
            time.sleep(moments.uniform(0, 12))
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
            stack.until(lambda killed=pid: stack.states()["stream"].pid not in (None, killed), "it is started again")
    whole(stack)
