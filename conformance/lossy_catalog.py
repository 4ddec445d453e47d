"""A REST catalog whose answers get lost: it stands before the real one and passes on what it is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

LATE_SECONDS = 3.0


class LossyCatalog(ThreadingHTTPServer):
    """`lose` holds what happens to the next commits of `tables` (names in taxi_cdc), one after the other.

    `answer`: it lands, nobody hears of it. `late`: the connection breaks, and it lands seconds later.
    """

    daemon_threads = True

    def __init__(self, address: str, tables: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.real = httpx.Client(base_url=address, timeout=60, trust_env=False)
        self._ends = tuple(f"/namespaces/taxi_cdc/tables/{table}" for table in tables)
        self.lose: list[str] = []
        self.lost: list[str] = []
        self._guard = threading.Lock()

    @property
    def address(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fate(self, method: str, path: str) -> str:
        """What happens to a request: empty when it is answered."""
        with self._guard:
            if method == "POST" and path.endswith(self._ends) and self.lose:
                self.lost.append(self.lose.pop(0))
                return self.lost[-1]
        return ""

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what this is for."""

    @contextmanager
    def serving(self) -> Iterator[LossyCatalog]:
        """Answer until the end of the block."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LossyCatalog

    def forward(self) -> None:
        """Pass a request on, and its answer back unless it is to be lost or the catalog is away."""
        server, method = self.server, self.command
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}

        def ask() -> httpx.Response:
            return server.real.request(method, self.path, content=body, headers=kept)

        fate = server.fate(method, self.path)
        if fate == "late":
            threading.Timer(LATE_SECONDS, ask).start()
        try:
            answer = None if fate == "late" else ask()
        except httpx.TransportError:
            answer = None
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
