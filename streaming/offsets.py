"""An epoch's offset ranges, read from Spark's checkpoint (the offset log is written before the epoch runs).

Format: one file per epoch in `offsets/`, a version line, a metadata line, then one JSON line per source; the starting
offsets of the first epoch stand in `sources/0/0` behind a version line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from catalog.positions import OffsetRange

Offsets = dict[str, dict[int, int]]


def epoch_ranges(checkpoint: Path, epoch: int) -> dict[str, list[OffsetRange]]:
    """By topic, what the epoch brings; ranges without offsets are left out."""
    end = _offsets(checkpoint / "offsets" / str(epoch))
    start = _offsets(checkpoint / "offsets" / str(epoch - 1)) if epoch else _offsets(checkpoint / "sources" / "0" / "0")
    ranges: dict[str, list[OffsetRange]] = {}
    for topic, partitions in end.items():
        for partition, until in partitions.items():
            since = start.get(topic, {}).get(partition, 0)
            if since < until:
                ranges.setdefault(topic, []).append(OffsetRange(partition, since, until))
    return ranges


def record_count(ranges: Mapping[str, Sequence[OffsetRange]]) -> int:
    """Offsets in ranges by topic: their records, and transaction markers."""
    return sum(offsets.end - offsets.start for parts in ranges.values() for offsets in parts)


def _offsets(path: Path) -> Offsets:
    text = path.read_text(encoding="utf-8").strip()
    fields = json.loads(text[text.rindex("\n") + 1 :] if "\n" in text else text[text.index("{") :])
    return {topic: {int(number): offset for number, offset in parts.items()} for topic, parts in fields.items()}
