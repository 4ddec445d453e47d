"""Kafka Connect's REST interface: one method per call that registration needs."""

from __future__ import annotations

import time
from typing import Any

import httpx

from catalog.errors import ComponentError
from catalog.settings import Settings

REBALANCING = 409
"""Connect answers this while its workers agree who does what: the same request succeeds a moment later."""
CALL_SECONDS = 90.0


class Worker:
    """One Connect worker. Every method raises ComponentError when it does not answer or refuses."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.connect
        self._client = httpx.Client(base_url=settings.connect, timeout=CALL_SECONDS, trust_env=False)

    def configuration(self, connector: str) -> dict[str, str] | None:
        """The configuration as registered, None when there is no such connector."""
        answer = self._call("GET", f"/connectors/{connector}/config", accept={404})
        return None if answer.status_code == 404 else answer.json()

    def configure(self, connector: str, configuration: dict[str, str]) -> None:
        """Create or update the connector."""
        self._call("PUT", f"/connectors/{connector}/config", body=configuration)

    def create_stopped(self, connector: str, configuration: dict[str, str]) -> None:
        """Create the connector without starting it."""
        body = {"name": connector, "config": configuration, "initial_state": "STOPPED"}
        self._call("POST", "/connectors", body=body)

    def status(self, connector: str) -> dict[str, Any] | None:
        """States of connector and tasks, None while Connect does not know them yet."""
        answer = self._call("GET", f"/connectors/{connector}/status", accept={404})
        return None if answer.status_code == 404 else answer.json()

    def offsets(self, connector: str) -> list[dict[str, Any]]:
        """The source offsets as they are committed in Kafka; empty where there are none."""
        answer = self._call("GET", f"/connectors/{connector}/offsets", accept={404})
        return [] if answer.status_code == 404 else [each["offset"] for each in answer.json()["offsets"]]

    def restart_failed(self, connector: str) -> None:
        """Restart the parts of the connector that failed."""
        self._call("POST", f"/connectors/{connector}/restart?includeTasks=true&onlyFailed=true")

    def stop(self, connector: str) -> None:
        """Stop the connector; its configuration and offsets stay."""
        self._call("PUT", f"/connectors/{connector}/stop")

    def resume(self, connector: str) -> None:
        """Let a stopped connector run."""
        self._call("PUT", f"/connectors/{connector}/resume")

    def delete(self, connector: str) -> None:
        """Delete the connector; its offsets stay."""
        self._call("DELETE", f"/connectors/{connector}", accept={404})

    def forget_offsets(self, connector: str) -> None:
        """Delete the offsets of a stopped connector, so that it starts with an initial copy."""
        self._call("DELETE", f"/connectors/{connector}/offsets")

    def _call(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, accept: set[int] | None = None
    ) -> httpx.Response:
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            try:
                answer = self._client.request(method, path, json=body)
            except httpx.TransportError as silent:
                raise ComponentError(
                    f"Kafka Connect at {self._address} does not answer: {silent}",
                    remedy="scripts/lake up starts it; scripts/lake logs connect shows why it stopped",
                ) from silent
            if answer.is_success or answer.status_code in (accept or ()):
                return answer
            if answer.status_code != REBALANCING or time.monotonic() > deadline:
                raise ComponentError(
                    f"Kafka Connect refused {method} {path}: {answer.status_code} {_reason(answer)}",
                    remedy="scripts/lake logs connect",
                )
            time.sleep(0.5)


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
