"""Errors as the API answers them: problem documents (RFC 9457), which say what is wrong and what to do.

`type` is a URN whose last part is the problem's name; `request_id` is the one of the log line.
"""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from catalog.errors import ComponentError, LakehouseError
from catalog.settings import Settings

MEDIA_TYPE = "application/problem+json"
URN = "urn:lakehouse:problem:"
TITLES = {
    "unauthorized": (401, "An API key is needed"),
    "forbidden": (403, "The key's scopes do not reach this"),
    "not-found": (404, "There is no such address"),
    "unknown-table": (404, "There is no such table"),
    "method-not-allowed": (405, "The API is read-only"),
    "not-acceptable": (406, "None of the accepted media types can be given"),
    "snapshot-gone": (410, "The table does not hold that snapshot"),
    "invalid-request": (422, "A parameter is not as it must be"),
    "unknown-column": (422, "The table has no such column"),
    "malformed-cursor": (400, "The cursor is not one of ours, or of another request"),
    "too-many-requests": (429, "More requests than the key may make"),
    "internal": (500, "The API failed"),
    "beyond-the-engine": (501, "The API's SQL engine cannot answer this"),
    "lake-unavailable": (503, "The lake does not answer"),
    "query-limit": (503, "The query takes more time or memory than allowed"),
    "too-many-streams": (503, "More event streams than the API keeps"),
}
_STATUS_NAMES = {404: "not-found", 405: "method-not-allowed"}

log = structlog.get_logger()


class Problem(BaseModel):
    """A problem document."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="a URN that names the kind of problem")
    title: str
    status: int
    detail: str = Field(description="what is wrong in this request, and what to do")
    request_id: str | None = Field(description="also in the header X-Request-Id and in the API's log")


class ProblemError(LakehouseError):
    """A request that is answered by the problem `name`."""

    def __init__(self, name: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.name, self.detail, self.headers, self.extra = name, detail, headers or {}, extra


def query_limit(settings: Settings) -> ProblemError:
    """The problem of a query that took too long, or too much."""
    detail = f"more than {settings.api_query_seconds:g} s or the memory that queries have: ask for less"
    return ProblemError("query-limit", detail, headers={"Retry-After": "5"})


def describe(*names: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route's documentation for these problems."""
    found: dict[int | str, dict[str, Any]] = {}
    for name in names:
        status, title = TITLES[name]
        known = found.setdefault(status, {"description": "", "content": {MEDIA_TYPE: {"schema": _SCHEMA}}})
        known["description"] = "; ".join(filter(None, [known["description"], f"`{name}`: {title}"]))
    return found


_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problem_response(request: Request, error: ProblemError) -> Response:
    """The answer to a request that failed in a way that has a name."""
    status, title = TITLES[error.name]
    document = Problem(
        type=URN + error.name,
        title=title,
        status=status,
        detail=error.detail,
        request_id=request.scope.get("request_id"),
        **error.extra,
    )
    return Response(document.model_dump_json(), status, error.headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Let every error of the application end as a problem document."""

    def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return problem_response(request, error)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        wrong = [{"where": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        detail = "; ".join(f"{each['where']}: {each['message']}" for each in wrong[:3])
        return problem_response(request, ProblemError("invalid-request", detail, errors=wrong))

    def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        name = _STATUS_NAMES.get(error.status_code, "invalid-request")
        headers = dict(error.headers or {})
        detail = f"{request.method} {request.url.path}: see /docs for what there is"
        return problem_response(request, ProblemError(name, detail, headers=headers))

    def unavailable(request: Request, error: Exception) -> Response:
        log.error("the lake does not answer", error=str(error), request_id=request.scope.get("request_id"))
        detail = "a component of the lake does not answer; `lake status` says which"
        return problem_response(request, ProblemError("lake-unavailable", detail, headers={"Retry-After": "5"}))

    def failed(request: Request, error: Exception) -> Response:
        detail = "the error is in the API's log under the request id"
        return problem_response(request, ProblemError("internal", detail))

    app.add_exception_handler(ProblemError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(ComponentError, unavailable)
    app.add_exception_handler(Exception, failed)
