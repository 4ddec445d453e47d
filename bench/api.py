"""How fast the API answers: concurrent clients on its quick endpoints, kept answers and new ones apart.

The API runs as a process of its own, beside the clients, which are one process too. Cold requests name a parameter that
none named before, one after another. Where Trino runs, the API is asked so with it as its engine too. pyiceberg and
Trino alone answer the same questions in the same run.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import httpx
import numpy as np

from bench import rivals, served, trips
from bench.accounting import Spending, Watched
from bench.machine import Machine, describe, load_average
from bench.process import api_process
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.trino import absence

COLD = 15
"""Requests of each endpoint that no answer is kept for."""
RIVAL = 3
Report = Callable[[str], None]


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one kind of request; `cpu_milliseconds` are those of who answers, for one of them."""

    name: str
    kind: str
    requests: int
    median: float
    percentile_95: float
    largest: float
    per_second: float
    errors: int
    cpu_milliseconds: float


@dataclass(frozen=True)
class Served:
    """A whole run."""

    rows: dict[str, int]
    clients: int
    seconds: float
    latencies: list[Latency]
    peak_memory: dict[str, int]
    machine: Machine


@dataclass(frozen=True)
class Endpoint:
    """An address, and its parameters for the n-th request that no answer is kept for."""

    name: str
    path: str
    fresh: Callable[[int], dict[str, str]]


def measure(settings: Settings, rows: int, clients: int, seconds: float, report: Report) -> Served:
    """Serve a lake of that many trips, and ask it. Tables that are there are measured as they are."""
    load_before = load_average()
    report(f"a lake with {rows:,} trips")
    with served.served(settings, rows) as lake, api_process(settings, rate="1000000/second") as api:
        latencies: list[Latency] = []
        watched = Watched({"API": api.pid}, "clients")
        asking = Asking(api.address, {"Authorization": f"Bearer {api.key}"}, clients, seconds, watched)
        for endpoint in ENDPOINTS:
            report(f"{endpoint.name}: {COLD} cold requests, then {clients} clients for {seconds:g} s")
            latencies += [asking.cold(endpoint), asking.kept(endpoint, "kept")]
        if served.TRIPS in lake.made:
            report(f"{ENDPOINTS[0].name} while its table changes")
            with _changing(settings, rows):
                latencies.append(asking.kept(ENDPOINTS[0], "kept, a commit a second"))
        memory = watched.peak_memory()
        latencies += _with_trino(settings, report)
        latencies += [_by(rival) for rival in rivals.rivals(settings, report)]
    return Served(lake.rows, clients, seconds, latencies, memory, describe(settings, load_before))


def _with_trino(settings: Settings, report: Report) -> list[Latency]:
    """Cold requests of an API that asks Trino; what is kept costs the same whoever answered it."""
    if reason := absence(settings):
        report(f"the API with Trino is not run: {reason}")
        return []
    with api_process(settings.model_copy(update={"api_engine": "trino"}), rate="1000000/second") as api:
        report("the same cold requests, answered by Trino")
        trino = Watched.of(settings, ("trino",)).pids
        asking = Asking(
            api.address, {"Authorization": f"Bearer {api.key}"}, 1, 0, Watched({"API": api.pid, **trino}, "clients")
        )
        for endpoint in ENDPOINTS:
            asking.cold(endpoint)  # Java compiles what it is asked for the first time
        return [asking.cold(endpoint, "cold, one client, by Trino", COLD) for endpoint in ENDPOINTS]


ENDPOINTS = (
    Endpoint("stats", "/api/v1/dashboard/stats", lambda n: {"hours": str(30 + n)}),
    Endpoint(
        "zones",
        "/api/v1/analytics/zones",
        lambda n: {"limit": "300", "since": (datetime.now(UTC).date() - timedelta(days=300 - n)).isoformat()},
    ),
    Endpoint("activity", "/api/v1/realtime/activity", lambda n: {"limit": str(300 + n)}),
)


@dataclass(frozen=True)
class Asking:
    """Clients of one API."""

    address: str
    headers: dict[str, str]
    clients: int
    seconds: float
    watched: Watched

    def cold(self, endpoint: Endpoint, kind: str = "cold, one client", first: int = 0) -> Latency:
        """Requests that no answer is kept for, one after another; the `first` were asked before."""
        taken, errors = [], 0
        http = httpx.Client(base_url=self.address, headers=self.headers, timeout=60)
        with http as client, self.watched.spending() as spending:
            for n in range(first, first + COLD):
                before = time.perf_counter()
                response = client.get(endpoint.path, params=endpoint.fresh(n))
                taken.append(time.perf_counter() - before)
                errors += response.is_error
        return _latency(endpoint.name, kind, taken, spending, errors)

    def kept(self, endpoint: Endpoint, kind: str) -> Latency:
        """All clients at once; each asks again as soon as it has its answer."""
        with self.watched.spending() as spending:
            taken, errors = asyncio.run(self._together(endpoint))
        return _latency(endpoint.name, f"{kind}, {self.clients} clients", taken, spending, errors)

    async def _together(self, endpoint: Endpoint) -> tuple[list[float], int]:
        taken: list[float] = []
        errors = 0

        async def ask(ends: float) -> None:
            nonlocal errors
            async with _Connection(self.address, endpoint.path, self.headers) as connection:
                while time.monotonic() < ends:
                    before = time.perf_counter()
                    status = await connection.get()
                    taken.append(time.perf_counter() - before)
                    errors += status >= 400

        async with _Connection(self.address, endpoint.path, self.headers) as first:
            await first.get()  # makes the answer that is kept
        ends = time.monotonic() + self.seconds
        await asyncio.gather(*(ask(ends) for _ in range(self.clients)))
        return taken, errors


class _Connection:
    """One client's connection, in bare HTTP/1.1: a client as comfortable as httpx costs more than the API it asks."""

    def __init__(self, address: str, path: str, headers: Mapping[str, str]) -> None:
        self._host, self._port = httpx.URL(address).host, httpx.URL(address).port
        named = [f"{name}: {value}" for name, value in {"Host": self._host, **headers}.items()]
        self._request = "\r\n".join([f"GET {path} HTTP/1.1", *named, "", ""]).encode()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def get(self) -> int:
        """Ask once and read the whole answer; its status."""
        self._writer.write(self._request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await self._reader.readexactly(int(length))
        return int(head.split(b" ", 2)[1])


def _by(rival: rivals.Rival) -> Latency:
    taken = []
    with rival.watched.spending() as spending:
        for _ in range(RIVAL):
            before = time.perf_counter()
            rival.ask()
            taken.append(time.perf_counter() - before)
    return _latency(rival.endpoint, rival.kind, taken, spending, 0)


@contextmanager
def _changing(settings: Settings, rows: int) -> Iterator[None]:
    """Commit one more trip to the table every second; only for the table that was made here."""
    ended = threading.Event()

    def commit() -> None:
        table = iceberg_catalog(settings).load_table(served.TRIPS)
        for n in itertools.count():
            table.append(trips.trips(rows + n, 1))
            if ended.wait(1.0):
                return

    committing = threading.Thread(target=commit)
    committing.start()
    try:
        yield
    finally:
        ended.set()
        committing.join()


def _latency(name: str, kind: str, taken: list[float], spending: Spending, errors: int) -> Latency:
    milliseconds = np.asarray(taken) * 1000
    return Latency(
        name,
        kind,
        len(taken),
        round(float(np.median(milliseconds)), 1),
        round(float(np.percentile(milliseconds, 95)), 1),
        round(float(milliseconds.max()), 1),
        round(len(taken) / spending.wall_seconds, 1),
        errors,
        round(1000 * sum(cpu for who, cpu in spending.cpu_seconds.items() if who != "clients") / len(taken), 2),
    )
