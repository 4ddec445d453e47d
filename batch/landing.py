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
    """One raw file: `path` without scheme as `s3_files` takes it, `origin` is the file or URL it came from."""

    path: str
    name: str
    sha256: str
    size: int
    origin: str
    fetched_at: str

    @property
    def uri(self) -> str:
        """Where Spark and DuckDB read it."""
        return f"s3://{self.path}"

    def as_json(self) -> dict[str, Any]:
        """For a step's result."""
        return asdict(self)


def land(settings: Settings, dataset: str, name: str, content: BinaryIO, origin: str) -> Landed:
    """Keep a seekable file as `raw/dataset/name`, once: the same bytes land at the same place again."""
    digest, size = _digest(content)
    folder = f"{settings.bucket}/raw/{dataset}/{digest[:16]}"
    landed = Landed(f"{folder}/{name}", name, digest, size, origin, datetime.now(UTC).isoformat(timespec="seconds"))
    files = s3_files(settings)
    known = f"{folder}/{name}.json"
    if files.get_file_info(known).is_file:
        with files.open_input_stream(known) as stream:
            return Landed(**json.loads(stream.read()))
    content.seek(0)
    with files.open_output_stream(landed.path) as stream:
        while block := content.read(_BLOCK):
            stream.write(block)
    with files.open_output_stream(known) as stream:  # last, so that whatever has it is whole
        stream.write(json.dumps(landed.as_json()).encode())
    return landed


def _digest(content: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := content.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size
