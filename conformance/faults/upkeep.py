"""What is done to the lake's tables and topics while they are written: tidied up, set back, fed with nonsense."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from confluent_kafka import Producer
from pyiceberg.table.snapshots import Snapshot

from catalog.access import kafka_client
from catalog.errors import VerificationError
from catalog.history import load_table, table_history
from catalog.positions import Position
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import PROJECT
from catalog.source import SourceTable
from catalog.tables.cdc import POSITION_PROPERTY
from conformance.faults.fault import Fault, Ground

FURTHEST_BACK = 15
"""Snapshots that a mirror is set back at most."""
NOWHERE = 10_000_000
"""Keys of unreadable records: no row has them."""


def _compact(ground: Ground) -> None:
    tables = [name for table in ground.tables for name in (table.mirror, table.changelog)]
    heads = {table.mirror: _head(ground, table) for table in ground.tables}
    read = {name: _rows(ground, name, head.snapshot_id) for name, head in heads.items()}
    kept_since = min(head.timestamp_ms for head in heads.values())
    command = [sys.executable, "-P", "-m", "conformance.compacting", str(kept_since), *tables]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ, capture_output=True, text=True, timeout=240)
    if done.returncode:
        raise VerificationError(f"the compaction failed: {done.stderr[-800:]}")
    for name, rows in read.items():
        snapshot = heads[name].snapshot_id
        if (again := _rows(ground, name, snapshot)) != rows:
            raise VerificationError(
                f"snapshot {snapshot} of {name} read {rows} before the compaction, {again} after it"
            )


def _head(ground: Ground, table: SourceTable) -> Snapshot:
    head = load_table(iceberg_catalog(ground.settings), table.mirror).current_snapshot()
    assert head is not None
    return head


def _rows(ground: Ground, name: str, snapshot: int) -> Any:
    """Count and sum of hashes of a snapshot's rows."""
    with duckdb_connection(ground.settings, threads=1) as reader:
        query = f"select count(*), sum(hash(t)::hugeint) from iceberg.{name} as t at (version => {snapshot})"
        return reader.execute(query).fetchone()


def _set_back(ground: Ground) -> None:
    """To a snapshot since the last copy: from earlier ones no changes lead to now."""
    table = ground.table()
    loaded = load_table(iceberg_catalog(ground.settings), table.mirror)
    generation = ground.told(table).get("generation")
    saved = {each.snapshot_id: (each.summary or {}).get(POSITION_PROPERTY) for each in loaded.snapshots()}
    line = [entry.snapshot_id for entry in table_history(loaded, FURTHEST_BACK)]
    since = [each for each in line if (text := saved[each]) and _is_whole(Position.from_json(text), generation)]
    if since:  # right after a copy there may be none
        ground.lake("rollback", table.mirror, str(ground.chance.choice(since)))


def _is_whole(position: Position, generation: int | None) -> bool:
    return position.copy is None and position.generation == generation


def _nonsense(ground: Ground) -> None:
    """With readable keys of no row, so that all else can still be verified."""
    table, count = ground.table(), ground.chance.randint(1, 5)
    topic = table.topic(ground.settings.topic_prefix)
    producer = Producer({**kafka_client(ground.settings), "log_level": 0})
    for number in range(count):
        key = json.dumps(dict.fromkeys(table.key, NOWHERE + number)).encode()
        value = ground.chance.choice((b'{"op": "c", "after"', b"{}", b"\xff\xfe", b'{"op": "x", "source": {}}'))
        producer.produce(topic, value, key, partition=0)
    if producer.flush(30):
        raise VerificationError(f"{topic} did not take unreadable records")
    ground.injected[table.qualified] += count
    wanted = ground.injected[table.qualified]
    ground.until(lambda: ground.told(table).get("quarantined") == wanted, f"{wanted} records are set aside")


FAULTS = (
    Fault("compaction", "a foreign Spark rewrites files and manifests and expires snapshots under load", _compact),
    Fault("rollback", "`lake rollback` sets a mirror back to an earlier snapshot", _set_back),
    Fault("unreadable", "records in a topic that are no change events", _nonsense),
)
