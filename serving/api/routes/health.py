"""Whether the API lives, whether it can answer, and what it counts. No key is needed; nothing of the lake is told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from catalog.settings import Settings
from catalog.trino import absence
from serving.api import metrics
from serving.api.problems import ProblemError, describe

router = APIRouter(tags=["health"])
SECONDS = 2.0


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


@router.get("/healthz", responses={200: {"description": "the process lives"}})
def healthz() -> Alive:
    """Whether the process lives."""
    return Alive()


@router.get("/readyz", responses={200: {"description": "the lake answers"}, **describe("lake-unavailable")})
def readyz(request: Request) -> Alive:
    """Whether the REST catalog and the store answer, and Trino where it is the engine."""
    settings: Settings = request.app.state.settings
    parts: dict[str, Callable[[], bool]] = {
        "REST catalog": partial(_answers, f"{settings.catalog}/v1/config"),
        "S3 store": partial(_answers, settings.s3),
    }
    if settings.api_engine == "trino":
        parts["Trino"] = lambda: not absence(settings)
    with ThreadPoolExecutor(len(parts)) as together:
        found = dict(zip(parts, together.map(lambda ask: ask(), parts.values()), strict=True))
    away = [name for name, answers in found.items() if not answers]
    if away:
        detail = f"no answer from {' and '.join(away)}; `lake status` says more, `lake up` starts what is down"
        raise ProblemError("lake-unavailable", detail, headers={"Retry-After": "5"}, components=found)
    return Alive()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}},
)
def prometheus(request: Request) -> Response:
    """What the API counts of itself."""
    return Response(request.app.state.metrics.text(), media_type=metrics.MEDIA_TYPE)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=SECONDS).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.TransportError:
        return False
