"""Snapshots that the rule of `catalog.retention` does not keep expire, with the files that only they refer to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from py4j.protocol import Py4JJavaError

from catalog.retention import OLDEST, expired
from streaming.iceberg import IcebergTable

log = structlog.get_logger()

_LEAST_WORTH_EXPIRING = 100


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
    now = datetime.now(UTC)
    gone = [snapshot_id for snapshot_id in expired(found, now) if snapshot_id not in heads]
    if len(gone) < _LEAST_WORTH_EXPIRING:
        return 0
    update = table.java.expireSnapshots().expireOlderThan(int((now - OLDEST).timestamp() * 1000))
    for snapshot_id in gone:
        update.expireSnapshotId(snapshot_id)
    try:
        update.commit()
    except Py4JJavaError as refused:
        log.info("expiry refused, left for later", table=table.identifier, why=str(refused.java_exception.getMessage()))
        return 0
    log.info("snapshots expired", table=table.identifier, count=len(gone), kept=len(found) - len(gone))
    return len(gone)
