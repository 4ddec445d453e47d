"""Which snapshots are kept: all of the last minutes, then fewer the older they are.

An epoch a second would leave 86,400 snapshots a day in every table's metadata, which each commit writes anew. Thinned
out they stay below about 1,300, and time travel loses resolution with age, never the newest state of a step. Expiry
also deletes the files that only expired snapshots refer to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog
from py4j.protocol import Py4JJavaError

from streaming.iceberg import IcebergTable

log = structlog.get_logger()

STEPS = (
    (timedelta(minutes=5), timedelta(0)),
    (timedelta(hours=6), timedelta(minutes=1)),
    (timedelta(days=7), timedelta(hours=1)),
    (timedelta(days=30), timedelta(days=1)),
)
"""Up to which age one snapshot is kept per which time; none beyond the last age."""
_LEAST_WORTH_EXPIRING = 100


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


def thin_out(table: IcebergTable, held: Iterable[int] = ()) -> int:
    """Expire snapshots of a table that no branch needs and that are not `held`; returns how many.

    A refused try is left for the next time.
    """
    table.refresh()
    heads = {int(ref.snapshotId()) for ref in table.java.refs().values()} | set(held)
    found = [
        (int(snapshot.snapshotId()), datetime.fromtimestamp(snapshot.timestampMillis() / 1000, UTC))
        for snapshot in table.java.snapshots()
    ]
    gone = [snapshot_id for snapshot_id in expired(found, datetime.now(UTC)) if snapshot_id not in heads]
    if len(gone) < _LEAST_WORTH_EXPIRING:
        return 0
    update = table.java.expireSnapshots()
    for snapshot_id in gone:
        update.expireSnapshotId(snapshot_id)
    try:
        update.commit()
    except Py4JJavaError as refused:
        log.info("expiry refused, left for later", table=table.identifier, why=str(refused.java_exception.getMessage()))
        return 0
    log.info("snapshots expired", table=table.identifier, count=len(gone), kept=len(found) - len(gone))
    return len(gone)
