"""What can go wrong between a program and the API.

LakehouseError
├── UnreachableError            no answer: refused, cut off or too late
└── ApiError                    the API answered with a problem document
    ├── RequestError            4xx: the request is not as it must be
    │   ├── AuthenticationError 401: no key, or one that has ended
    │   ├── ForbiddenError      403: the key's scopes do not reach this
    │   ├── NotFoundError       404: no such table or address
    │   ├── SnapshotGoneError   410: the snapshot has expired; begin without cursor or as_of
    │   └── RateLimitedError    429: more requests than the key may make
    └── ServerError             5xx: the API or the lake behind it
"""

from __future__ import annotations

import math

import httpx

from catalog.errors import LakehouseError


class UnreachableError(LakehouseError):
    """The API did not answer."""


class ApiError(LakehouseError):
    """The API answered with a problem. `kind` is its name, `request_id` that of the API's log."""

    def __init__(self, status: int, kind: str, detail: str, request_id: str | None, retry_after: float | None) -> None:
        super().__init__(f"{status} {kind}: {detail}" + (f" (request {request_id})" if request_id else ""))
        self.status, self.kind, self.detail = status, kind, detail
        self.request_id, self.retry_after = request_id, retry_after


class RequestError(ApiError):
    """The request is not as it must be."""


class AuthenticationError(RequestError):
    """No key was given, or it has expired or was revoked."""


class ForbiddenError(RequestError):
    """The key's scopes do not reach this."""


class NotFoundError(RequestError):
    """There is no such table or address."""


class SnapshotGoneError(RequestError):
    """The table does not hold the snapshot of the cursor or of `as_of`."""


class RateLimitedError(RequestError):
    """More requests than the key may make; `retry_after` seconds until it may again."""


class ServerError(ApiError):
    """The API failed, or the lake behind it does not answer."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    410: SnapshotGoneError,
    429: RateLimitedError,
}


def error_of(response: httpx.Response) -> ApiError:
    """The error that a response with a status from 400 on stands for."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    status = response.status_code
    kind = str(problem.get("type", "")).rpartition(":")[2] or response.reason_phrase or "no problem document"
    fallback = ServerError if status >= httpx.codes.INTERNAL_SERVER_ERROR else RequestError
    return _BY_STATUS.get(status, fallback)(
        status,
        kind,
        str(problem.get("detail", response.text[:200])),
        response.headers.get("x-request-id"),
        _seconds(response.headers.get("retry-after")),
    )


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
