"""The few S3 requests that the stack itself needs, signed by hand: no engine has to be loaded for a health check."""

from __future__ import annotations

import datetime
import hashlib
import hmac

import httpx

from catalog.errors import ComponentError
from catalog.settings import Settings

EMPTY = hashlib.sha256(b"").hexdigest()
REQUEST_SECONDS = 5.0


def ask(settings: Settings) -> str:
    """List the bucket with our keys. Raises ComponentError when the store refuses."""
    answer = request(settings, "GET", f"/{settings.bucket}", "list-type=2&max-keys=1")
    _check(answer, f"the bucket {settings.bucket} cannot be listed")
    return f"bucket {settings.bucket}"


def ensure_bucket(settings: Settings) -> None:
    """Create the bucket unless it is there."""
    found = request(settings, "HEAD", f"/{settings.bucket}")
    if found.status_code == 404:
        created = request(settings, "PUT", f"/{settings.bucket}")
        if created.status_code != 409:
            _check(created, f"the bucket {settings.bucket} cannot be created")


def request(settings: Settings, method: str, path: str, query: str = "") -> httpx.Response:
    """One request without a body, signed with AWS' version 4; `query` is sorted and encoded already."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    address = httpx.URL(settings.s3)
    host = address.netloc.decode()
    headers = {"host": host, "x-amz-content-sha256": EMPTY, "x-amz-date": now}
    headers["authorization"] = _signature(settings, method, path, query, headers)
    url = f"{settings.s3.rstrip('/')}{path}" + (f"?{query}" if query else "")
    return httpx.request(method, url, headers=headers, timeout=REQUEST_SECONDS, trust_env=False)


def _signature(settings: Settings, method: str, path: str, query: str, headers: dict[str, str]) -> str:
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join((method, path, query, lines, names, EMPTY))
    date = headers["x-amz-date"]
    scope = f"{date[:8]}/{settings.s3_region}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{settings.secrets.s3_secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{settings.secrets.s3_access_key}/{scope}"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"


def _check(answer: httpx.Response, complaint: str) -> None:
    if not answer.is_success:
        raise ComponentError(
            f"{complaint}: {answer.status_code} {answer.text[:200]}", remedy="lake logs store shows what it says"
        )
