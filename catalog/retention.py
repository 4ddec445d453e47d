"""Which snapshots are kept: all of the last minutes, then fewer the older they are.

An epoch a second would leave 86,400 snapshots a day in every table's metadata, which each commit writes anew and each
reader reads whole: 600 cost a DuckDB query 15 ms, 1,200 some 60. Thinned out they stay below about 700, and time travel
by snapshot loses resolution with age, never the newest state of a step. By the changelog it stays exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

STEPS = (
    (timedelta(minutes=5), timedelta(0)),
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(days=1), timedelta(minutes=30)),
    (timedelta(days=7), timedelta(hours=6)),
    (timedelta(days=30), timedelta(days=1)),
)
"""Up to which age one snapshot is kept per which time; none beyond the last age."""
OLDEST = STEPS[-1][0]
"""Iceberg expires by age too, whichever snapshots it is told: every expiry and every table has to say this one."""
AGE_PROPERTY = {"history.expire.max-snapshot-age-ms": str(OLDEST // timedelta(milliseconds=1))}


def expired(snapshots: Iterable[tuple[int, datetime]], now: datetime) -> list[int]:
    """Of (id, time) pairs the ids to expire: all but the newest of each step. The newest of all is kept anyway."""
    ordered = sorted(snapshots, key=lambda pair: pair[1], reverse=True)
    kept: set[tuple[timedelta, int]] = set()
    gone = []
    for snapshot_id, at in ordered[1:]:
        step = next((every for age, every in STEPS if now - at <= age), None)
        if step == timedelta(0):
            continue
        place = (step, int(at.timestamp() // step.total_seconds())) if step else None
        if place is None or place in kept:
            gone.append(snapshot_id)
        else:
            kept.add(place)
    return gone
