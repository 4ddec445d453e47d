"""How long what is not applied yet has been waiting, told from the offsets at which a topic's end was seen."""

from __future__ import annotations

from bisect import bisect_right

_SIGHTINGS = 4096


class Arrivals:
    """When one partition ended at which offset; between two ends records are taken to have come evenly."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._first: list[float] = []
        self._last: list[float] = []

    def see(self, end: int, now: float) -> None:
        """Note that the partition ends at offset `end` at the Unix time `now`."""
        if self._ends and end < self._ends[-1]:  # the topic was made anew
            self._keep(len(self._ends))
        if self._ends and end == self._ends[-1]:
            self._last[-1] = now
            return
        for times in (self._first, self._last):
            times.append(now)
        self._ends.append(end)
        self._keep(max(0, len(self._ends) - _SIGHTINGS))

    def waiting_seconds(self, position: int, now: float) -> float | None:
        """Seconds since the record at offset `position` came, 0 when there is none yet.

        What was there at the first sighting waits at least since then; at that sighting itself it is None.
        """
        if not self._ends:
            return None
        if position >= self._ends[-1]:
            return 0.0
        later = bisect_right(self._ends, position)
        if later == 0:
            return now - self._first[0] if now > self._first[0] else None
        self._keep(later - 1)
        share = (position - self._ends[0]) / (self._ends[1] - self._ends[0])
        return now - (self._last[0] + share * (self._first[1] - self._last[0]))

    def _keep(self, start: int) -> None:
        self._ends, self._first, self._last = self._ends[start:], self._first[start:], self._last[start:]
