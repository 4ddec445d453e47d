"""Answers kept by the snapshots that they were read from: an unchanged table answers from memory.

An answer looked at less than a second ago is given as it is. One looked at less than five seconds ago is given too,
and looked at again behind the request: so a table that changes every second costs one query a second, however many
ask. Older ones are looked at first. Looking compares snapshots; only other snapshots make a query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache

from catalog.errors import LakehouseError
from serving.api.formats import Format, encode
from serving.api.heads import Head
from serving.api.lake import Lake, Rows
from serving.api.metrics import Metrics
from serving.api.questions import Asked

FRESH_SECONDS = 1.0
KEPT_SECONDS = 5.0
BYTES = 128 << 20


@dataclass
class Answer:
    """Rows, their encoded forms as they are asked for, and when their tables were last looked at (monotonic)."""

    rows: Rows
    looked_at: float
    snapshots: tuple[tuple[str, int | None], ...]
    _encoded: dict[Format, bytes] = field(default_factory=dict)

    def encoded(self, form: Format) -> bytes:
        """The rows in a format, encoded once."""
        if form not in self._encoded:
            self._encoded[form] = encode(self.rows.table, form)
        return self._encoded[form]


class Answers:
    """The memory of one application, bounded in bytes; threads share it, and one question is asked once at a time."""

    def __init__(self, lake: Lake, metrics: Metrics, background: Executor) -> None:
        self._lake, self._metrics, self._background = lake, metrics, background
        self._kept: LRUCache[Any, Answer] = LRUCache(
            BYTES, getsizeof=lambda answer: 4096 + 2 * answer.rows.table.nbytes
        )
        self._lock = threading.Lock()
        self._asking: dict[Any, threading.Lock] = {}

    def get(self, asked: Asked) -> Answer:
        """The answer, at most five seconds behind its tables. Raises what `Lake` raises."""
        key = asked.key
        with self._lock:
            kept = self._kept.get(key)
        age = time.monotonic() - kept.looked_at if kept is not None else KEPT_SECONDS
        if kept is not None and age < KEPT_SECONDS:
            if age >= FRESH_SECONDS:
                self._look_behind(asked)
            self._metrics.answers.labels("memory").inc()
            return kept
        with self._turn(key):
            return self._look(asked)

    def _look_behind(self, asked: Asked) -> None:
        turn = self._turn(asked.key)
        if turn.acquire(blocking=False):
            self._background.submit(self._look_and_release, asked, turn)

    def _look_and_release(self, asked: Asked, turn: threading.Lock) -> None:
        try:
            self._look(asked)
        except LakehouseError:
            pass  # the next request that must look says it
        finally:
            turn.release()

    def _look(self, asked: Asked) -> Answer:
        """Compare snapshots, and ask only where they differ. Who waited for another's look takes what it found."""
        with self._lock:
            kept = self._kept.get(asked.key)
        now = time.monotonic()
        if kept is not None and now - kept.looked_at < FRESH_SECONDS:
            self._metrics.answers.labels("memory").inc()
            return kept
        heads = self._lake.heads(asked)
        snapshots = _snapshots(heads)
        if kept is not None and kept.snapshots == snapshots:
            kept.looked_at = now
            self._metrics.answers.labels("memory").inc()
            return kept
        answer = Answer(self._lake.ask(asked, heads), now, snapshots)
        self._metrics.answers.labels("lake").inc()
        with self._lock:
            if self._kept.getsizeof(answer) <= self._kept.maxsize:
                self._kept[asked.key] = answer
        return answer

    def _turn(self, key: Any) -> threading.Lock:
        with self._lock:
            if len(self._asking) > 4096:
                self._asking = {known: lock for known, lock in self._asking.items() if lock.locked()}
            return self._asking.setdefault(key, threading.Lock())


def _snapshots(heads: Sequence[Head]) -> tuple[tuple[str, int | None], ...]:
    return tuple((head.table, head.snapshot_id) for head in heads)
