"""Raw input as it came, before it is read: bytes in the store under their SHA-256, with origin and time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from catalog.files import s3_files
from catalog.settings import Settings

_BLOCK = 8 << 20


@dataclass(frozen=True)
class Landed:
    """One raw file: `path` without scheme as `s3_files` takes it, `origin` is the file or URL it came from.

    `etag` is the entity tag that an HTTP server gave with it.
    """

    path: str
    name: str
    sha256: str
    size: int
    origin: str
    fetched_at: str
    etag: str | None = None

    @property
    def uri(self) -> str:
        """Where Spark and DuckDB read it."""
        return f"s3://{self.path}"

    def as_json(self) -> dict[str, Any]:
        """For a step's result."""
        return asdict(self)


def land(
    settings: Settings, dataset: str, name: str, content: BinaryIO, origin: str, etag: str | None = None
) -> Landed:
    """Keep a seekable file as `raw/dataset/name`, once: the same bytes land at the same place again.

    What stands beside them tells where they came from last.
    """
    digest, size = _digest(content)
    path, fetched = _path(settings, dataset, name, digest), datetime.now(UTC).isoformat(timespec="seconds")
    landed, known = (
        Landed(path, name, digest, size, origin, fetched, etag),
        landed_before(settings, dataset, name, digest),
    )
    if known is not None and (known.origin, known.etag) == (origin, etag):
        return known
    files = s3_files(settings)
    if known is None:
        content.seek(0)
        with files.open_output_stream(path) as stream:
            while block := content.read(_BLOCK):
                stream.write(block)
    with files.open_output_stream(f"{path}.json") as stream:  # last, so that whatever has it is whole
        stream.write(json.dumps(landed.as_json()).encode())
    return landed


def landed_before(settings: Settings, dataset: str, name: str, sha256: str) -> Landed | None:
    """The file of these bytes, if it was landed."""
    try:
        with s3_files(settings).open_input_stream(f"{_path(settings, dataset, name, sha256)}.json") as stream:
            return Landed(**json.loads(stream.read()))
    except FileNotFoundError:
        return None


def _path(settings: Settings, dataset: str, name: str, sha256: str) -> str:
    return f"{settings.bucket}/raw/{dataset}/{sha256[:16]}/{name}"


def _digest(content: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := content.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size
