"""Quarantined records read again, after what kept them out was mended.

Every record that can be read now is added to the changelog at its own place in the topic, once. The mirror takes it
only if no later event of its key exists (`applied`); otherwise the later one already decided (`superseded`), as a copy
of the whole table did for every record before it. What still cannot be read stays. Each step can be repeated: the
changelog is asked which places it holds already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from catalog.settings import CATALOG
from streaming.envelope import Events, decode
from streaming.iceberg import Lake
from streaming.quarantine import Quarantine
from streaming.shape import shaped
from streaming.table import TableStream


@dataclass(frozen=True)
class Outcome:
    """Records applied, superseded by later events, and still in the quarantine."""

    applied: int
    superseded: int
    remaining: int


def replay(lake: Lake, stream: TableStream, quarantine: Quarantine) -> Outcome:
    """Replay the quarantined records of one table; the query must not run meanwhile."""
    held = [lake.store.read_parquet(file.path) for file in quarantine.table.live_files(None)]
    everything = pa.concat_tables([shaped(part, quarantine.table.arrow_schema) for part in held]) if held else None
    if everything is None or not len(everything):
        return Outcome(0, 0, 0)
    mine = everything.filter(pc.equal(everything["topic"], stream.topic)).sort_by("topic_offset")
    records = mine.select(["topic_partition", "topic_offset", "key", "value"])
    records = records.rename_columns(["partition", "offset", "key", "value"])
    decoded = decode(records, stream.source, ignored=frozenset())
    applied = "curd" if stream.source.key else "cr"
    events = decoded.events.take([place for place, op in enumerate(decoded.events.op) if op in applied])
    known, last = _changelog_facts(lake, stream, events)
    offsets = events.offset.to_pylist()
    position = stream.changelog.committed
    young = [place for place, offset in enumerate(offsets) if offset >= position.generation_start]
    fresh = [place for place in young if offsets[place] not in known]
    current = [place for place in young if (later := last[place]) is None or later <= offsets[place]]
    if fresh:
        stream.changelog.append(events.take(fresh), position, stream.source, np.zeros(len(fresh), dtype=bool))
    if current:
        stream.mirror.apply(events.take(current), stream.mirror.committed)
    _keep(lake, quarantine, everything, stream.topic, set(offsets))
    return Outcome(len(current), len(events) - len(current), len(mine) - len(events))


def _changelog_facts(lake: Lake, stream: TableStream, events: Events) -> tuple[set[int], list[int | None]]:
    """Which of the events' offsets the changelog holds, and the last offset at which each event's key changed."""
    if not len(events):
        return set(), []
    keys = pa.table({"offset": events.offset.cast(pa.int64())})
    for name in stream.source.key:
        keys = keys.append_column(name, events.keys((name,))[name])
    wanted = lake.spark.createDataFrame(keys)
    log = lake.spark.table(f"{CATALOG}.{stream.source.changelog}")
    position = stream.changelog.committed
    log = log.where((F.col("generation") == position.generation) & F.col("topic_offset").isNotNull())
    held = log.join(wanted, F.col("topic_offset") == F.col("offset"), "left_semi").select("topic_offset").collect()
    same = [F.col(f"key.{name}") == wanted[name] for name in stream.source.key]
    truncated = log.where("op = 't'").agg(F.max("topic_offset")).collect()[0][0]
    found = log.join(wanted, same).groupBy("offset").agg(F.max("topic_offset").alias("last")) if same else None
    last = {row["offset"]: row["last"] for row in (found.collect() if found else ())}
    latest = [max(filter(None, (last.get(offset), truncated)), default=None) for offset in events.offset.to_pylist()]
    return {row["topic_offset"] for row in held}, latest


def _keep(lake: Lake, quarantine: Quarantine, everything: pa.Table, topic: str, done: set[int]) -> None:
    """Rewrite the quarantine without the records that are done."""
    if not done:
        return
    of_topic = pc.equal(everything["topic"], topic)
    is_done = pc.and_(of_topic, pc.is_in(everything["topic_offset"], pa.array(sorted(done), pa.int64())))
    rest = everything.filter(pc.invert(is_done))
    added = []
    for day in pc.unique(pc.cast(rest["at"], pa.date32())).to_pylist():
        part = rest.filter(pc.equal(pc.cast(rest["at"], pa.date32()), day))
        file = lake.store.write_parquet(quarantine.table.data_location, part)
        added.append(quarantine.table.data_file(file, f"at_day={day:%Y-%m-%d}"))
    position = quarantine.committed
    quarantine.land(lambda: quarantine.table.overwrite(position, quarantine.head, added=added), position)
