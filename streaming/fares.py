"""What a fare usually is for its zone and distance, by robust statistics, and trips whose fare is far from it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from catalog.tables.realtime import DISTANCE_COLUMN, DISTANCES, FARE, FARE_COLUMN, FARE_STANDS
from streaming.alerts import Alert, Finding, Key, Looked
from streaming.differences import Part, View
from streaming.store import Store
from streaming.windows import Measures

_DEVIATION = 1.4826
"""Median absolute deviations of a normal distribution in one standard deviation."""
_ANY_ZONE = -1
_SAMPLE_ROWS = 100_000
_SAMPLE_SECONDS = 3600.0
Fares = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Zone, class of distance, and fare in dollars (NaN where one of them is unknown), row by row."""


class UsualFares:
    """Medians and deviations by zone and class of distance, and by class alone where a zone has too few trips."""

    def __init__(self, samples: Iterable[pa.Table]) -> None:
        parts = [fares_of(rows) for rows in samples]
        zones, classes, fares = (np.concatenate([part[place] for part in parts]) for place in range(3))
        known = ~np.isnan(fares)
        zones, classes, fares = zones[known], classes[known], fares[known]
        self._usual = _by_group(_group(np.full_like(zones, _ANY_ZONE), classes), fares)
        self._usual |= _by_group(_group(zones, classes), fares)

    def bounds(self, zones: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and highest fare, in dollars, that no one is told of; infinite where too little is known."""
        unknown, classless = (0.0, np.inf), len(DISTANCES) + 1
        groups, places = np.unique(_group(zones, classes), return_inverse=True)
        found = [
            self._usual.get(group) or self._usual.get(_ANY_ZONE * classless + group % classless, unknown)
            for group in groups.tolist()
        ]
        median, deviation = np.array(found, dtype=float).reshape(-1, 2)[places].T
        return median - FARE.threshold * deviation, median + FARE.threshold * deviation


def fares_of(rows: pa.Table) -> Fares:
    """Zone, class of distance and fare of measured rows."""
    distance = rows[DISTANCE_COLUMN].cast(pa.float64()).to_numpy()
    fare = np.where(np.isnan(distance), np.nan, rows[FARE_COLUMN].cast(pa.float64()).to_numpy())
    zone = rows["zone"].fill_null(_ANY_ZONE).to_numpy()
    return zone, np.searchsorted(DISTANCES, distance, "right"), fare


def _group(zones: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return zones.astype(np.int64) * (len(DISTANCES) + 1) + classes


def _by_group(groups: np.ndarray, fares: np.ndarray) -> dict[int, tuple[float, float]]:
    """Median and robust standard deviation of each group that has enough rows."""
    order = np.argsort(groups, kind="stable")
    found, starts = np.unique(groups[order], return_index=True)
    usual = {}
    for group, members in zip(found, np.split(fares[order], starts)[1:], strict=True):
        if len(members) >= FARE.at_least:
            median = float(np.median(members))
            spread = _DEVIATION * float(np.median(np.abs(members - median)))
            usual[int(group)] = (median, max(spread, abs(median) / 10, 1.0))
    return usual


class FareWatch:
    """Tells of trips that came with a fare far from what is usual for their zone and distance."""

    def __init__(self, measures: Measures, store: Store) -> None:
        self._measures, self.store = measures, store
        self._usual: UsualFares | None = None
        self._learned_at = 0.0

    def learn(self, view: View) -> None:
        """Learn what is usual from some of the mirror's files, once an hour."""
        if self._usual is not None and time.monotonic() - self._learned_at < _SAMPLE_SECONDS:
            return
        samples, rows = [self._measures.schema.empty_table()], 0
        for file in sorted(view.files.values(), key=lambda file: file.live.rows, reverse=True):
            if rows >= _SAMPLE_ROWS:
                break
            samples.append(self._measures.of_file(file.path).slice(0, _SAMPLE_ROWS))
            rows += len(samples[-1])
        self._usual, self._learned_at = UsualFares(samples), time.monotonic()

    def look(
        self, parts: Sequence[Part], key: Sequence[str], open_alerts: Mapping[Key, Alert], now: datetime
    ) -> Looked:
        """Trips of parts that came and went; one that is as far off as before (its file was merged) is no news."""
        held = {subject: alert for (rule, subject), alert in open_alerts.items() if rule == FARE.name}
        told = [alert.value for alert in held.values()]
        went = {subject: (fare, bound) for subject, fare, bound in self._far(parts, key, -1, told)}
        came = {subject: (fare, bound) for subject, fare, bound in self._far(parts, key, 1, ())}
        news = {subject: far for subject, far in came.items() if went.get(subject) != far}
        found = [Finding(FARE.name, subject, fare, bound) for subject, (fare, bound) in news.items()]
        over = held.keys() & went.keys() - came.keys()
        over |= {subject for subject, alert in held.items() if now - alert.raised_at > FARE_STANDS}
        return Looked(tuple(found), frozenset((FARE.name, subject) for subject in over))

    def _far(
        self, parts: Sequence[Part], key: Sequence[str], sign: int, told: Sequence[float]
    ) -> Iterator[tuple[str, float, float]]:
        """Key, fare and bound of each row of such parts whose fare is far off, or is one that was told of."""
        if self._usual is None:
            return
        for part in [part for part in parts if part.sign == sign]:
            rows = self._measures.of_file(part.path)
            places = np.arange(len(rows)) if part.rows is None else part.rows
            zones, classes, fares = fares_of(rows.take(pa.array(places)))
            low, high = self._usual.bounds(zones, classes)
            far = np.flatnonzero((fares < low) | (fares > high) | np.isin(fares, told))
            if not far.size:
                continue
            keys = self.store.read_parquet(part.path, key).take(pa.array(places[far])).to_pylist()
            for place, row in zip(far, keys, strict=True):
                subject = ", ".join(f"{name} {value}" for name, value in row.items())
                bound = low[place] if fares[place] < low[place] else high[place]
                yield subject, float(fares[place]), round(float(bound), 2)
