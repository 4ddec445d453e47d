"""The address that alerts are sent to, asked from a thread of its own, one alert after the other."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import structlog

log = structlog.get_logger()

_SECONDS = 5.0


class Webhook:
    """POSTs alerts as JSON. `address` is a secret: it often carries a token."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._thread = ThreadPoolExecutor(1, "webhook")
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._taken: set[str] = set()

    def ask(self, identity: str, alert: dict[str, Any]) -> None:
        """Send an alert soon, unless it is on its way or was taken."""
        with self._lock:
            if identity in self._asked:
                return
            self._asked.add(identity)
        self._thread.submit(self._send, identity, alert)

    def taken(self) -> set[str]:
        """The alerts taken since the last call."""
        with self._lock:
            taken, self._taken = self._taken, set()
            self._asked -= taken
        return taken

    def _send(self, identity: str, alert: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": identity}
        try:
            answer = httpx.post(
                self._address, content=json.dumps(alert, default=str), headers=headers, timeout=_SECONDS
            )
            answer.raise_for_status()
        except httpx.HTTPStatusError as refused:
            self._failed(identity, f"HTTP {refused.response.status_code}")
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            self._failed(identity, type(failed).__name__)
        else:
            with self._lock:
                self._taken.add(identity)

    def _failed(self, identity: str, why: str) -> None:
        log.warning("the webhook did not take an alert, it is asked again", alert=identity, why=why)
        with self._lock:
            self._asked.discard(identity)
