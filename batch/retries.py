"""Asking an HTTP source again: which failures pass by themselves, and how long to wait for that."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

ATTEMPTS = 5
LONGEST_WAIT = 120.0
"""Seconds; a source that wants more is asked again by the next run."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
_BACKOFF = wait_random_exponential(multiplier=1, max=30)


def retrying() -> Retrying:
    """Tries anew after time-outs, broken connections and PASSING statuses; the last error is raised as it is.

    Waits 0 to 1, 0 to 2, 0 to 4 … seconds at random, or as long as Retry-After says and up to a second more.
    """
    return Retrying(
        retry=retry_if_exception(passes),
        wait=_wait,
        stop=_stop,
        reraise=True,
    )


def passes(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in PASSING
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the source asks for, None where it does not; its date form is counted from now."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _asked(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return retry_after(error.response) if isinstance(error, httpx.HTTPStatusError) else None


def _stop(state: RetryCallState) -> bool:
    return state.attempt_number >= ATTEMPTS or (_asked(state) or 0.0) > LONGEST_WAIT


def _wait(state: RetryCallState) -> float:
    backoff, asked = _BACKOFF(state), _asked(state)
    return backoff if asked is None else asked + min(backoff, 1.0)
