"""How long changes took from their commit in Postgres until the mirror showed them, counted in bounds of seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds in seconds; what took longer is in the last count."""


class Delays:
    """Counts of one table since it was opened. Rows of an initial copy were never committed anew: they do not count."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(BOUNDS) + 1, np.int64)
        self._seconds = 0.0

    def add(self, operations: Sequence[str], committed_at: pa.Array, visible_at: float) -> None:
        """Count events by operation and instant of commit (UTC) that became visible at this Unix time."""
        streamed = np.fromiter((operation != "r" for operation in operations), bool, len(operations))
        committed = committed_at.cast(pa.int64()).to_numpy()[streamed]
        seconds = np.maximum(visible_at - committed / 1e6, 0.0)
        places = np.searchsorted(BOUNDS, seconds)
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._seconds += float(seconds.sum())

    def as_json(self) -> dict[str, object]:
        """`buckets`: how many took at most so many seconds, by that bound; `seconds`: the sum of all."""
        bounds = [*map(str, BOUNDS), "+Inf"]
        counts = np.cumsum(self._counts).tolist()
        return {"buckets": dict(zip(bounds, counts, strict=True)), "seconds": round(self._seconds, 3)}
