"""How far the streaming job is behind a topic, by the position that it last reported."""

from __future__ import annotations

import json
from dataclasses import dataclass

from catalog.settings import Settings
from connectors.inspection import partitions

STREAM_STATUS = "stream.json"


@dataclass(frozen=True, slots=True)
class Lag:
    """Offsets between a partition's end and the position; None where no position was reported."""

    partition: int
    end: int
    position: int | None

    @property
    def lag(self) -> int | None:
        """Offsets not applied yet; a few of them may be transaction markers, which carry no change."""
        return None if self.position is None else max(0, self.end - self.position)


def lags(settings: Settings, topic: str) -> list[Lag]:
    """The lag of each partition of a topic."""
    positions = _positions(settings, topic)
    return [Lag(one.number, one.end, positions.get(one.number)) for one in partitions(settings, topic)]


def _positions(settings: Settings, topic: str) -> dict[int, int]:
    """Next offsets by partition as the streaming job reported them; empty before its first report."""
    try:
        tables = json.loads((settings.state_dir / STREAM_STATUS).read_text())["tables"]
    except (FileNotFoundError, KeyError, ValueError):
        return {}
    position = next((table.get("position") for table in tables.values() if table.get("topic") == topic), None)
    return {int(number): int(offset) for number, offset in (position or {}).items()}
