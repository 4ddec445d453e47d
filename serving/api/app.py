"""The application: its parts made once, its routes, and one line in the log for each request."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette import types
from starlette.datastructures import Headers, MutableHeaders

from catalog.settings import Settings
from serving.api.access import Access
from serving.api.answering import Answering
from serving.api.cursors import Cursors
from serving.api.heads import Heads
from serving.api.keys import DASHBOARD, Keys, Scope
from serving.api.lake import Lake
from serving.api.memory import Answers
from serving.api.metrics import Metrics
from serving.api.pipeline import Pipeline
from serving.api.problems import Problem, add_handlers
from serving.api.routes import analytics, dashboard, health, operations, realtime, tables

DESCRIPTION = """
Read-only answers from Apache Iceberg tables, each with the snapshots that it was read from.

Give an API key as bearer token. Rows come as JSON, CSV, Arrow or Parquet, by `Accept`. Errors are problem documents
(RFC 9457). An answer is at most five seconds behind its tables; `meta` says which snapshots it shows, and their age.
"""
_REQUEST_ID = re.compile(r"[\w.-]{1,64}")
log = structlog.get_logger()


def create_app(settings: Settings) -> FastAPI:
    """The API over the lake of these settings; the lake need not be up yet."""
    background = ThreadPoolExecutor(2, thread_name_prefix="look")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background.submit(lake.open)  # where the lake is away, the first question tries again and says so
        yield
        background.shutdown(cancel_futures=True)

    app = FastAPIOffline(
        title="Lakehouse",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    state = app.state
    state.settings, state.open_streams = settings, 0
    state.metrics, state.heads = Metrics(), Heads(settings)
    keys = Keys(settings.state_dir)
    keys.ensure(DASHBOARD, settings.secrets.dashboard_key, frozenset(Scope))
    state.access = Access(keys, settings.api_rate)
    lake = Lake(settings, state.heads, state.metrics)
    state.pipeline = Pipeline(settings, state.heads, lake)
    answers = Answers(lake, state.metrics, background)
    state.answering = Answering(answers, Cursors(settings.secrets.api_cursor_key, settings.api_engine))
    for topic in (dashboard, analytics, realtime, tables, operations, health):
        app.include_router(topic.router)
    add_handlers(app)
    app.add_middleware(Told, metrics=state.metrics)
    _document_problems(app)
    return app


class Told:
    """Gives every request an id, counts it and says it in the log: no parameters, no key, only the key's id."""

    def __init__(self, app: types.ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given, began, status = Headers(scope=scope).get("x-request-id", ""), time.monotonic(), 500
        scope["request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

        async def send_with_id(message: types.Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = scope["request_id"]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._tell(scope, status, time.monotonic() - began)

    def _tell(self, scope: types.Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unrouted")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        log.info(
            "request",
            method=scope["method"],
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            request_id=scope["request_id"],
            key=scope.get("key_id"),
        )


def _document_problems(app: FastAPI) -> None:
    """Add the problem document's schema to the OpenAPI document, where the routes refer to it."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            document = generate()
            document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return app.openapi_schema or generate()

    app.openapi = openapi  # type: ignore[method-assign]
