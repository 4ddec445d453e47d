"""Who may ask, and how often: an API key as bearer token, its scopes, and a moving window of requests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from catalog.errors import ConfigurationError
from serving.api.keys import Key, Keys, Scope
from serving.api.problems import ProblemError

FAILURES = "60/minute"
"""Requests without a valid key that one address may make: a secret of 256 bits needs no more, a log does."""

bearer = HTTPBearer(auto_error=False, description="a key made by `lake keys create`")


class Access:
    """Keys and windows of one application."""

    def __init__(self, keys: Keys, rate: str) -> None:
        self._keys = keys
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rate, self._failures = _rate(rate), parse(FAILURES)

    def key(self, presented: str | None, address: str) -> Key:
        """The valid key that was presented. Raises ProblemError, after many failures of an address for a while."""
        found = self._keys.find(presented) if presented else None
        if found is not None and found.is_valid(datetime.now(UTC)):
            return found
        self._count(self._failures, "address", address)
        why = "the key has expired or was revoked" if found else "give `Authorization: Bearer <key>`"
        detail = f"{why}; `lake keys create` makes a key"
        raise ProblemError("unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})

    def still_valid(self, key: Key) -> bool:
        """Whether a key has neither expired nor been revoked since."""
        return self._keys.is_valid(key.id)

    def admit(self, key: Key, scope: Scope) -> None:
        """Count a request of a key. Raises ProblemError for a scope that it lacks or a window that is full."""
        if scope not in key.scopes:
            detail = f"this needs the scope {scope}, the key has {', '.join(sorted(key.scopes))}"
            raise ProblemError("forbidden", detail)
        self._count(self._rate, "key", key.id)

    def _count(self, rate: RateLimitItem, kind: str, name: str) -> None:
        if self._limiter.hit(rate, kind, name):
            return
        reset = self._limiter.get_window_stats(rate, kind, name).reset_time
        seconds = max(1, math.ceil(reset - time.time()))
        detail = f"{rate.amount} in {rate.get_expiry()} s; ask again in {seconds} s"
        raise ProblemError("too-many-requests", detail, headers={"Retry-After": str(seconds)})


def needs(scope: Scope) -> Callable[..., Key]:
    """A route's dependency: the request's key, admitted to this scope."""

    def admitted(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Key:
        access: Access = request.app.state.access
        address = request.client.host if request.client else ""
        key = access.key(given.credentials if given else None, address)
        request.scope["key_id"] = key.id
        access.admit(key, scope)
        return key

    return admitted


def _rate(text: str) -> RateLimitItem:
    try:
        return parse(text)
    except ValueError as wrong:
        raise ConfigurationError(f"LAKE_API_RATE {text!r} is no rate", remedy="write 1200/minute") from wrong
