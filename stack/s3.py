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
    answer = request(settings, "GET", "list-type=2&max-keys=1")
    _check(answer, f"the bucket {settings.bucket} cannot be listed", settings)
    return f"bucket {settings.bucket}"


def ensure_bucket(settings: Settings) -> None:
    """Create the bucket unless it is there."""
    found = request(settings, "HEAD")
    if found.status_code == 404:
        created = request(settings, "PUT")
        if created.status_code != 409:
            _check(created, f"the bucket {settings.bucket} cannot be created", settings)


def request(settings: Settings, method: str, query: str = "") -> httpx.Response:
    """One request of the bucket, without a body, signed with AWS' version 4; `query` is sorted and encoded already."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    address, path = httpx.URL(settings.s3), f"/{settings.bucket}"
    if not settings.s3_path_style:
        address, path = address.copy_with(host=f"{settings.bucket}.{address.host}"), "/"
    headers = {"host": address.netloc.decode(), "x-amz-content-sha256": EMPTY, "x-amz-date": now}
    headers["authorization"] = _signature(settings, method, path, query, headers)
    url = address.copy_with(raw_path=f"{path}?{query}".rstrip("?").encode())
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


def _check(answer: httpx.Response, complaint: str, settings: Settings) -> None:
    if answer.is_success:
        return
    if settings.s3_endpoint is None:
        remedy = "lake logs store shows what it says"
    elif answer.status_code == httpx.codes.NOT_FOUND:
        remedy = f"make the bucket {settings.bucket} at {settings.s3}, or set LAKE_BUCKET"
    else:
        remedy = "correct LAKE_S3_ACCESS_KEY, LAKE_S3_SECRET_KEY, LAKE_S3_REGION or what those keys may do there"
    raise ComponentError(f"{complaint}: {answer.status_code} {answer.text[:200]}", remedy=remedy)
