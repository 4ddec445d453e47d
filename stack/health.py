"""Health means that a component answered a real request."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

from catalog.access import catalog_login
from catalog.errors import ComponentError, LakehouseError
from catalog.settings import Settings

REQUEST_SECONDS = 5.0
STREAM_FRESH_SECONDS = 30.0
STREAM_FILE = "stream.json"


@dataclass(frozen=True)
class Health:
    """`answer` is what the component said, or why it did not, `remedy` what to do; `seconds` is how long that took."""

    healthy: bool
    answer: str
    seconds: float
    remedy: str = ""


def check(ask: Callable[[Settings], str], settings: Settings) -> Health:
    """Ask one component; every way of not answering is a Health, not an exception."""
    began, remedy = time.monotonic(), ""
    try:
        answer, healthy = ask(settings), True
    except LakehouseError as refusal:
        answer, healthy, remedy = str(refusal.args[0])[:200], False, refusal.remedy
    except (httpx.HTTPError, psycopg.Error, OSError, ValueError, KeyError) as refusal:
        answer, healthy = _first_line(refusal), False
    return Health(healthy, answer, time.monotonic() - began, remedy)


def ask_catalog(settings: Settings) -> str:
    """The REST catalog's configuration request, with our login where it asks for one."""
    asked = {"warehouse": settings.catalog_warehouse} if settings.catalog_warehouse else None
    address, headers = f"{settings.catalog.rstrip('/')}/v1/config", catalog_login(settings)
    answer = httpx.get(address, params=asked, headers=headers, timeout=REQUEST_SECONDS, trust_env=False)
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ComponentError(
            f"the REST catalog refuses us: {answer.status_code}",
            remedy="set LAKE_CATALOG_CREDENTIAL=id:secret, or LAKE_CATALOG_TOKEN, and what LAKE_CATALOG_SCOPE it wants",
        )
    answer.raise_for_status()
    return "GET /v1/config"


def ask_connect(settings: Settings) -> str:
    """The worker's list of connectors."""
    names = get_json(f"{settings.connect}/connectors")
    return ", ".join(names) or "no connector"


def ask_api(settings: Settings) -> str:
    """Whether the API reaches the REST catalog and the store."""
    get_json(f"{settings.api}/readyz")
    return "GET /readyz"


def ask_dashboard(settings: Settings) -> str:
    """The dashboard's own health page."""
    httpx.get(f"{settings.dashboard}/_stcore/health", timeout=REQUEST_SECONDS, trust_env=False).raise_for_status()
    return "GET /_stcore/health"


def ask_stream(settings: Settings) -> str:
    """The job's own status, fresh, and the Spark UI."""
    written = json.loads((settings.state_dir / STREAM_FILE).read_text())
    age = stream_age_seconds(written)
    if age > STREAM_FRESH_SECONDS:
        raise ValueError(f"its status is {age:.0f} s old")
    applications = get_json(f"http://{settings.host}:{settings.port('spark_ui')}/api/v1/applications")
    return f"{written['state']}, {applications[0]['name']}" if applications else str(written["state"])


def stream_age_seconds(written: dict[str, Any]) -> float:
    """Seconds since the streaming job wrote its status."""
    updated = datetime.datetime.fromisoformat(written["updated_at"])
    if updated.tzinfo is None:
        updated = updated.replace(tzinfo=datetime.UTC)
    return (datetime.datetime.now(datetime.UTC) - updated).total_seconds()


def get_json(url: str) -> Any:
    """The document at this address. Raises httpx.HTTPError on any other answer than a good one."""
    answer = httpx.get(url, timeout=REQUEST_SECONDS, trust_env=False)
    answer.raise_for_status()
    return answer.json()


def _first_line(refusal: BaseException) -> str:
    lines = str(refusal).strip().splitlines()
    return (lines[0] if lines else type(refusal).__name__)[:200]
