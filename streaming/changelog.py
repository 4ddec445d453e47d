"""The changelog: every change event of a table once, appended with the position it brings the table to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.positions import Position
from catalog.source import SourceTable
from streaming.envelope import Events
from streaming.iceberg import IcebergTable, LiveFile, written_live
from streaming.shape import shaped
from streaming.store import WrittenFile
from streaming.writer import TableWriter

_MICROSECONDS_PER_HOUR = 3_600_000_000


class Changelog(TableWriter):
    """Appends events; its files are partitioned by hour of commit. `recent` are this run's files, by hour."""

    def __init__(self, table: IcebergTable) -> None:
        super().__init__(table)
        self.recent: dict[int, list[LiveFile]] = {}

    def append(self, events: Events, position: Position, source: SourceTable, earlier: np.ndarray) -> None:
        """Append events and move to `position`, in one commit; the `earlier` ones as the generation before's."""
        if len(events) == 0:
            self.position = position
            return
        rows = self.rows(events, np.where(earlier, position.generation - 1, position.generation), source)
        written = self.write(rows)
        added = [self.data_file(file, hour) for hour, file in written]
        facts = {"lake.events": str(len(events))}
        self.land(lambda: self.table.row_delta(position, self.head, added=added, facts=facts), position)
        for (hour, file), java in zip(written, added, strict=True):
            self.recent.setdefault(hour, []).append(written_live(file, java))

    def data_file(self, written: WrittenFile, hour: int) -> Any:
        """The description of a file of one hour, counted from 1970: Iceberg reads an hour back as that number."""
        return self.table.data_file(written, f"committed_at_hour={hour}")

    def rows(self, events: Events, generations: np.ndarray, source: SourceTable) -> pa.Table:
        """Events as rows of the changelog."""
        has_before = pa.array([op in "ud" for op in events.op], pa.bool_())
        has_after = pa.array([op in "cur" for op in events.op], pa.bool_())
        truncate = pa.array([op == "t" for op in events.op], pa.bool_())
        known_before = has_before if source.full_identity else pa.array([op == "d" for op in events.op], pa.bool_())
        columns = {
            "op": pa.array(events.op, pa.string()),
            "previous_commit_lsn": events.previous_commit_lsn,
            "lsn": events.lsn,
            "transaction_id": events.transaction_id,
            "committed_at": events.committed_at,
            "topic_partition": events.partition,
            "topic_offset": events.offset,
            "generation": pa.array(generations, pa.int32()),
            "before": _struct(events.before, known_before),
            "after": _struct(events.after, has_after),
            "unchanged": _unchanged(events),
        }
        if source.key:
            columns["key"] = _struct(events.keys(source.key), pc.invert(truncate))
        return pa.table(columns)

    def write(self, rows: pa.Table) -> list[tuple[int, WrittenFile]]:
        """Write rows to one file per hour of commit."""
        shape = shaped(rows, self.table.arrow_schema)
        hours = pc.divide(shape["committed_at"].cast(pa.int64()), _MICROSECONDS_PER_HOUR)
        return [
            (hour, self.write_hour(hour, shape.filter(pc.equal(hours, hour)))) for hour in pc.unique(hours).to_pylist()
        ]

    def write_hour(self, hour: int, rows: pa.Table) -> WrittenFile:
        """Write rows of one hour."""
        folder = f"committed_at_hour={datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d-%H}"
        return self.table.lake.store.write_parquet(f"{self.table.data_location}/{folder}", rows)


def _unchanged(events: Events) -> pa.Array:
    """By event the columns that it left out, null where none."""
    if not events.placeholders:
        return pa.nulls(len(events), pa.list_(pa.string()))
    left_out = [
        sorted(name for name, mask in events.placeholders.items() if mask[place]) or None
        for place in range(len(events))
    ]
    return pa.array(left_out, pa.list_(pa.string()))


def _struct(table: pa.Table, valid: pa.Array) -> pa.StructArray:
    """A table's columns as one struct column, null where not `valid`."""
    columns = [column.combine_chunks() for column in table.columns]
    fields = [field.with_nullable(True) for field in table.schema]
    return pa.StructArray.from_arrays(columns, fields=fields, mask=pc.invert(valid))
