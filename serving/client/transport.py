"""Requests of the client: where to, with which key, how long, and when again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
)

from catalog.settings import load_settings
from serving.client.errors import RateLimitedError, ServerError, UnreachableError, error_of

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
"""Seconds; the wait before a retry is random below a bound that doubles from the first to the longest."""
TRANSIENT = (RateLimitedError, ServerError, UnreachableError)
"""Errors that another attempt can mend."""


@dataclass(frozen=True)
class Patience:
    """How long a method waits: seconds for one request, attempts, and seconds for all of them together."""

    request_seconds: float = 30.0
    attempts: int = 5
    seconds: float = 60.0

    @property
    def _rules(self) -> dict[str, Any]:
        return {
            "retry": retry_if_exception_type(TRANSIENT),
            "wait": _wait,
            "stop": stop_after_attempt(self.attempts) | stop_before_delay(self.seconds),
            "reraise": True,
        }

    def retrying(self) -> Retrying:
        """Attempts of a blocking call."""
        return Retrying(**self._rules)

    def retrying_async(self) -> AsyncRetrying:
        """Attempts of an awaited call."""
        return AsyncRetrying(**self._rules)


def connection(url: str | None, api_key: str | None, patience: Patience) -> dict[str, Any]:
    """Arguments of an httpx client. What is not given is that of the settings, LAKE_API_URL and LAKE_API_KEY."""
    if url is None or api_key is None:
        settings = load_settings()
        url = url or settings.api
        api_key = api_key or (settings.api_key.get_secret_value() if settings.api_key else None)
    headers = {"User-Agent": "lakehouse-client/1", **({"Authorization": f"Bearer {api_key}"} if api_key else {})}
    return {"base_url": url, "headers": headers, "timeout": patience.request_seconds}


def checked(response: httpx.Response) -> httpx.Response:
    """A response that is no error. Raises ApiError."""
    if response.status_code >= httpx.codes.BAD_REQUEST:
        raise error_of(response)
    return response


def unreachable(failed: httpx.HTTPError) -> UnreachableError:
    """The error of a request that got no answer."""
    where = failed.request.url.copy_with(query=None)
    return UnreachableError(
        f"no answer from {where}: {type(failed).__name__}", remedy="`lake api` serves the API; is the address right?"
    )


def pause(failures: int, error: BaseException | None = None) -> float:
    """Seconds before the next attempt after so many failures.

    What the server asks for, and a random time beside it, so that clients do not come back together.
    """
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (failures - 1))
    return (getattr(error, "retry_after", None) or 0.0) + random.uniform(0, longest)


def _wait(state: RetryCallState) -> float:
    return pause(state.attempt_number, state.outcome.exception() if state.outcome else None)
