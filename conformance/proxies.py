"""TCP proxies on the ways between components, by toxiproxy: latency, resets, silence."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from catalog.errors import ComponentError

START_SECONDS = 10.0
MISSING = "toxiproxy is missing: scripts/setup chaos builds it"


def program() -> Path | None:
    """Toxiproxy's server: where set-up puts it, or on the PATH."""
    own = Path(sysconfig.get_path("scripts")) / "toxiproxy-server"
    found = str(own) if own.exists() else shutil.which("toxiproxy-server")
    return None if found is None else Path(found)


class Proxies:
    """One toxiproxy. Where there is none, the ways are direct."""

    def __init__(self) -> None:
        self._program = program()
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{_free_port()}", timeout=10, trust_env=False)

    @contextmanager
    def running(self) -> Iterator[Proxies]:
        """Run it until the end of the block. Raises ComponentError when it does not answer."""
        if self._program is None:
            yield self
            return
        port = str(self._client.base_url.port)
        quiet = subprocess.DEVNULL
        server = subprocess.Popen([self._program, "-host", "127.0.0.1", "-port", port], stdout=quiet, stderr=quiet)
        try:
            self._await()
            yield self
        finally:
            server.terminate()
            server.wait()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                self._client.get("/version").raise_for_status()
                return
            time.sleep(0.1)
        raise ComponentError("toxiproxy does not answer")

    def to(self, name: str, address: str) -> str:
        """An address that leads to this one (`http://host:port`)."""
        if self._program is None:
            return address
        url = httpx.URL(address)
        upstream = f"{url.host}:{url.port}"
        made = self._ask("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
        return f"http://{made['listen']}"

    def poison(self, name: str, kind: str, attributes: dict[str, int]) -> None:
        """Have a way behave so, in both directions, until `cure`."""
        for stream in ("upstream", "downstream"):
            toxic = {"name": stream, "type": kind, "stream": stream, "attributes": attributes}
            self._ask("POST", f"/proxies/{name}/toxics", toxic)

    def cure(self) -> None:
        """Have every way behave."""
        if self._program is not None:
            self._ask("POST", "/reset", None)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        answer = self._client.request(method, path, json=body)
        if not answer.is_success:
            raise ComponentError(f"toxiproxy refused {method} {path}: {answer.text[:200]}")
        return answer.json() if answer.content else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
