"""One epoch over all tables: its records in slices bounded in bytes, each slice applied by all tables side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.positions import OffsetRange
from streaming.offsets import record_count
from streaming.table import TableStream

Ranges = Mapping[str, Sequence[OffsetRange]]
_BLOCK = 256
"""Records whose sizes are summed together when slices are cut."""
_RESERVE = 64
"""Bytes that a record takes beside its key and value."""


class Slicer:
    """Cuts epochs into slices of at most about `limit` bytes.

    Asking for sizes reads the epoch from Kafka once more, so it is done where it matters: in a first epoch, and
    where records as large as the last ones would pass the limit. If others suddenly are too large for the memory, the
    driver ends once and goes on carefully.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes_per_record = float(limit)

    def slices(self, frame: DataFrame, ranges: Ranges) -> Iterator[tuple[pa.Table, Ranges]]:
        """The epoch's records as (records, ranges), those of one partition in offset order."""
        fits = record_count(ranges) * self._bytes_per_record <= self._limit
        cuts = [ranges] if fits else cut(_sizes(frame), ranges, self._limit)
        wanted = frame.select("topic", "partition", "offset", "key", "value")
        for part in cuts:
            table = (wanted if len(cuts) == 1 else wanted.where(_within(part))).toArrow()
            if len(table):
                self._bytes_per_record = table.nbytes / len(table)
            yield table, part


def _sizes(frame: DataFrame) -> dict[tuple[str, int, int], int]:
    """Bytes of keys and values by (topic, partition, block of offsets)."""
    size = F.coalesce(F.octet_length("value"), F.lit(0)) + F.coalesce(F.octet_length("key"), F.lit(0)) + F.lit(_RESERVE)
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


def _in_order(records: pa.Table) -> pa.Table:
    """By partition and offset; Spark's tasks usually return them so."""
    places = records["partition"].to_numpy().astype(np.int64) << 48 | records["offset"].to_numpy()
    if bool(np.all(places[1:] > places[:-1])):
        return records
    return records.sort_by([("partition", "ascending"), ("offset", "ascending")])


def apply_slice(
    records: pa.Table, ranges: Ranges, streams: Mapping[str, TableStream], across: Executor, inside: Executor
) -> dict[str, BaseException]:
    """Apply a slice to its tables (`streams` by topic), all to the end; returns what failed, by topic."""
    jobs = {}
    for topic, parts in ranges.items():
        if topic in streams:
            mine = records.filter(pc.equal(records["topic"], topic)).drop_columns(["topic"])
            jobs[topic] = across.submit(streams[topic].apply, _in_order(mine), parts, inside)
    failures = {topic: job.exception() for topic, job in jobs.items()}
    return {topic: failure for topic, failure in failures.items() if failure is not None}
