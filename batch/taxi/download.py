"""Fetching one published month over HTTP: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

import httpx

from batch.retries import retrying
from catalog.errors import BatchError, UnavailableError

ABSENT = frozenset({403, 404})
"""Not published: TLC's distribution answers 403 for a file that is not there."""
_UNCHANGED = 304
_TIMEOUT = httpx.Timeout(30.0, read=60.0)
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Download:
    """`content` is a whole file, at its start; None where the server has none, or none but the known one."""

    content: BinaryIO | None
    etag: str | None = None
    absent: bool = False


@contextmanager
def download(url: str, known_etag: str | None) -> Iterator[Download]:
    """Fetch a Parquet file unless it is the version `known_etag`; a broken transfer begins anew.

    Raises UnavailableError when the server does not give it, BatchError when it gives something else.
    """
    with TemporaryFile() as content, httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        try:
            answer = retrying()(_once, client, url, known_etag, content)
        except httpx.HTTPError as failed:
            raise UnavailableError(
                f"{url} could not be fetched: {failed or type(failed).__name__}",
                remedy="correct LAKE_TLC_SOURCE, or run the step again when the server is well",
            ) from failed
        yield answer


def _once(client: httpx.Client, url: str, known_etag: str | None, content: BinaryIO) -> Download:
    content.seek(0)
    content.truncate()
    with client.stream("GET", url, headers={"If-None-Match": known_etag} if known_etag else {}) as response:
        if response.status_code in ABSENT:
            return Download(None, absent=True)
        if response.status_code == _UNCHANGED:
            return Download(None, known_etag)
        response.raise_for_status()
        for block in response.iter_bytes():
            content.write(block)
    _require_parquet(url, content)
    return Download(content, response.headers.get("etag"))


def _require_parquet(url: str, content: BinaryIO) -> None:
    """A proxy's page is refused; a file without its end is a transfer that broke, whatever length was announced."""
    size = content.seek(0, 2)
    content.seek(0)
    start = content.read(len(_MAGIC))
    if size and start != _MAGIC:
        raise BatchError(
            f"{url} gave no Parquet file, it begins with {start!r}", remedy="open the address in a browser: what is it?"
        )
    content.seek(max(0, size - len(_MAGIC)))
    if content.read() != _MAGIC or size <= 2 * len(_MAGIC):
        raise httpx.RemoteProtocolError(f"a Parquet file without its end, {size:,} bytes")
    content.seek(0)
