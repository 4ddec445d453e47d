"""What commands ask of the driver: one JSON file each in `requests/` of the state folder, gone when done."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from catalog.settings import Settings


@dataclass(frozen=True)
class Request:
    """`resync` rebuilds a table, `replay` reads its quarantined records again, `rollback` sets its mirror to a
    `snapshot`, `release` lets go of a table for good.

    `hold` keeps a table out that is joining, until whoever asked withdraws it: a `resync` comes first. `drain` keeps
    one in that left the publication, until a `release`: changes from before may be under way.
    """

    kind: Literal["resync", "replay", "rollback", "release", "hold", "drain"]
    table: str
    snapshot: int | None = None

    def path(self, settings: Settings) -> Path:
        """Where the request lies until it is done."""
        return _folder(settings) / f"{self.kind}-{self.table}.json"

    def answer_path(self, settings: Settings) -> Path:
        """Where its outcome is written."""
        return self.path(settings).with_suffix(".answer")


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "requests"


def submit(settings: Settings, request: Request) -> None:
    """Leave a request for the driver; asking twice is one request."""
    _folder(settings).mkdir(parents=True, exist_ok=True)
    request.answer_path(settings).unlink(missing_ok=True)
    partial = request.path(settings).with_suffix(".partial")
    partial.write_text(json.dumps(asdict(request)))
    partial.rename(request.path(settings))


def pending(settings: Settings) -> list[Request]:
    """Requests that are not done, oldest first."""
    found = []
    for path in _folder(settings).glob("*.json"):
        with suppress(FileNotFoundError):  # withdrawn or done just now
            found.append((path.stat().st_mtime, Request(**json.loads(path.read_text()))))
    return [request for _, request in sorted(found, key=lambda each: each[0])]


def held(settings: Settings) -> set[str]:
    """Tables of which something is asked that they must be out of the query for."""
    return {request.table for request in pending(settings) if request.kind not in ("replay", "drain")}


def draining(settings: Settings) -> set[str]:
    """Tables that are streamed to the end of their topic, published or not."""
    return {request.table for request in pending(settings) if request.kind == "drain"}


def withdraw(settings: Settings, request: Request) -> None:
    """Take a request back; harmless when there is none."""
    request.path(settings).unlink(missing_ok=True)


def finish(settings: Settings, request: Request, answer: dict[str, object]) -> None:
    """Answer a request and take it away."""
    request.answer_path(settings).write_text(json.dumps(answer))
    request.path(settings).unlink(missing_ok=True)


def answer(settings: Settings, request: Request) -> dict[str, object] | None:
    """The outcome of a request; None while it is pending."""
    path = request.answer_path(settings)
    if request.path(settings).exists() or not path.exists():
        return None
    found: dict[str, object] = json.loads(path.read_text())
    return found
