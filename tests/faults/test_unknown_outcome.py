"""Commits whose answer never comes: the REST catalog has them, or gets them only later, and nothing lands twice."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from catalog.settings import PROJECT
from stack.supervision import Supervisor

MAIN = ("payment_types", "trips", "vendors")
LATE_SECONDS = 3.0


class LossyCatalog(ThreadingHTTPServer):
    """Stands before the real REST catalog. `lose` holds what happens to the next commits of the mirror of trips:
    `answer` (it lands, nobody hears of it), `late` (the connection breaks, and it lands seconds later)."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.real, self.lose, self.lost, self.guard = httpx.Client(base_url=address), [], [], threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fate(self, method: str, path: str) -> str:
        with self.guard:
            if method == "POST" and path.endswith("/namespaces/taxi_cdc/tables/trips") and self.lose:
                self.lost.append(self.lose.pop(0))
                return self.lost[-1]
        return ""


class Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        server, method = self.server, self.command
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}

        def ask() -> httpx.Response:
            return server.real.request(method, self.path, content=body, headers=kept)

        fate = server.fate(method, self.path)
        if fate == "late":
            threading.Timer(LATE_SECONDS, ask).start()
        answer = None if fate == "late" else ask()
        if fate or answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(answer.content)

    do_GET = do_POST = do_HEAD = do_DELETE = forward

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def lossy(stack) -> Iterator[LossyCatalog]:
    server = LossyCatalog(stack.settings.catalog)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


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
