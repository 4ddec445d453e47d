"""The API as a process of its own, for as long as something is asked of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from catalog.errors import ComponentError
from catalog.settings import PREFIX, PROJECT, Settings
from serving.api.keys import Keys, Scope

START_SECONDS = 60.0
PASSED_ON = ("state_dir", "port_offset", "postgres_port", "s3_port", "catalog_port", "trino_port", "api_engine",
             "api_query_seconds")  # fmt: skip


@dataclass(frozen=True)
class Api:
    """A running API: its address, a key for all of it, its process id."""

    address: str
    key: str
    pid: int


@contextmanager
def api_process(settings: Settings, *, rate: str) -> Iterator[Api]:
    """Serve the lake of these settings on a free port, `rate` requests a key. Raises ComponentError."""
    port = free_port(settings.host)
    keys = Keys(settings.state_dir)
    key, secret = keys.create("a run", frozenset(Scope), datetime.now(UTC) + timedelta(hours=1))
    given = {name: str(getattr(settings, name)) for name in PASSED_ON}
    own = {**given, "api_port": str(port - settings.port_offset), "api_rate": rate}
    environment = {**os.environ, **{f"{PREFIX}{name}".upper(): value for name, value in own.items()}}
    command = [sys.executable, "-P", "-m", "serving.api"]
    log = settings.state_dir / f"api-{port}.log"
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=written)
    address = f"http://{settings.host}:{port}"
    try:
        _until_it_answers(address, process)
        yield Api(address, secret, process.pid)
    finally:
        keys.revoke(key.id)
        process.terminate()
        process.wait(30)


def _until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise ComponentError("the API did not come up", remedy="lake api says why; lake status")


def free_port(host: str) -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind((host, 0))
        return int(listening.getsockname()[1])
