"""One epoch over all tables: its records in slices bounded in bytes, each slice applied by all tables side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.positions import OffsetRange
from streaming.merging import merge_changelog, merge_mirror
from streaming.table import TableStream

Ranges = Mapping[str, Sequence[OffsetRange]]
_FEW_RECORDS = 1000
"""So many records are taken without asking for their sizes first, unless the epoch is the first after a start: if they
were too large for the memory, then that is how it goes on.
"""
_BLOCK = 256
"""Records whose sizes are summed together when slices are cut."""


def slices(frame: DataFrame, ranges: Ranges, limit: int, *, careful: bool) -> Iterator[tuple[pa.Table, Ranges]]:
    """The epoch's records, in offset order, as (records, ranges) of at most about `limit` bytes each."""
    records = sum(offsets.end - offsets.start for parts in ranges.values() for offsets in parts)
    cuts = [ranges] if records <= _FEW_RECORDS and not careful else cut(_sizes(frame), ranges, limit)
    wanted = frame.select("topic", "partition", "offset", "key", "value")
    for part in cuts:
        chosen = wanted if len(cuts) == 1 else wanted.where(_within(part))
        table = chosen.toArrow()
        yield table.sort_by([("topic", "ascending"), ("partition", "ascending"), ("offset", "ascending")]), part


def _sizes(frame: DataFrame) -> dict[tuple[str, int, int], int]:
    """Bytes of keys and values by (topic, partition, block of offsets)."""
    size = F.coalesce(F.octet_length("value"), F.lit(0)) + F.coalesce(F.octet_length("key"), F.lit(0)) + F.lit(64)
    block = F.floor(F.col("offset") / _BLOCK).cast("long").alias("block")
    rows = frame.groupBy("topic", "partition", block).agg(F.sum(size).alias("bytes")).collect()
    return {(row["topic"], row["partition"], row["block"]): row["bytes"] for row in rows}


def cut(sizes: Mapping[tuple[str, int, int], int], ranges: Ranges, limit: int) -> list[Ranges]:
    """Cut an epoch's ranges at block boundaries, so that no part holds much more than `limit` bytes."""
    parts: list[dict[str, list[OffsetRange]]] = []
    held = limit + 1
    for topic, offsets in ((topic, offsets) for topic, found in ranges.items() for offsets in found):
        start = offsets.start
        while start < offsets.end:
            block = start // _BLOCK
            end = min(offsets.end, (block + 1) * _BLOCK)
            size = sizes.get((topic, offsets.partition, block), 0)
            if held + size > limit:
                parts.append({})
                held = 0
            held += size
            mine = parts[-1].setdefault(topic, [])
            if mine and mine[-1].partition == offsets.partition:
                mine[-1] = replace(mine[-1], end=end)
            else:
                mine.append(OffsetRange(offsets.partition, start, end))
            start = end
    return list(parts)


def _within(ranges: Ranges) -> F.Column:
    condition = F.lit(False)
    for topic, parts in ranges.items():
        for part in parts:
            place = (F.col("topic") == topic) & (F.col("partition") == part.partition)
            condition = condition | (place & F.col("offset").between(part.start, part.end - 1))
    return condition


def merge_small_files(streams: Mapping[str, TableStream], threshold: int, across: Executor) -> int:
    """Between two epochs: merge what is due, tables side by side; returns how many files went."""
    jobs = [across.submit(merge_mirror, stream.mirror, threshold) for stream in streams.values()]
    jobs += [across.submit(merge_changelog, stream.changelog, threshold) for stream in streams.values()]
    return sum(job.result() for job in jobs)


def apply_slice(
    records: pa.Table, ranges: Ranges, streams: Mapping[str, TableStream], across: Executor, inside: Executor
) -> dict[str, BaseException]:
    """Apply a slice to its tables (`streams` by topic), all to the end; returns what failed, by topic."""
    jobs = {}
    for topic, parts in ranges.items():
        if topic in streams:
            mine = records.filter(pc.equal(records["topic"], topic)).drop_columns(["topic"])
            jobs[topic] = across.submit(streams[topic].apply, mine, parts, inside)
    failures = {topic: job.exception() for topic, job in jobs.items()}
    return {topic: failure for topic, failure in failures.items() if failure is not None}
