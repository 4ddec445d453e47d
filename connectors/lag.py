"""How far the streaming job is behind a topic, by the position that it last reported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    name = topic.removeprefix(f"{settings.topic_prefix}.")
    table: dict[str, Any] = next((tables[key] for key in (topic, name, name.replace(".", "__")) if key in tables), {})
    position = table.get("position")
    parts = (json.loads(position) if isinstance(position, str) else position or {}).get("partitions", {})
    return {int(number): _next_offset(reached) for number, reached in parts.items()}


def _next_offset(reached: Any) -> int:
    """A partition's next offset: alone, first of `[next_offset, previous_commit_lsn, lsn]`, or by name."""
    if isinstance(reached, Mapping):
        return int(reached["next_offset"])
    return int(reached[0] if isinstance(reached, list) else reached)
