"""The changelog: every change event of a table once, appended with the position it brings the table to."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from catalog.positions import Position
from catalog.source import SourceTable
from streaming.envelope import Events
from streaming.shape import shaped
from streaming.store import WrittenFile
from streaming.writer import TableWriter

_MICROSECONDS_PER_HOUR = 3_600_000_000


class Changelog(TableWriter):
    """Appends events; its files are partitioned by hour of commit. `written` counts files since the last merge."""

    written = 0

    def append(self, events: Events, position: Position, source: SourceTable) -> None:
        """Append events and move to `position`, in one commit."""
        if len(events) == 0:
            self.position = position
            return
        rows = self.rows(events, position.generation, source)
        added = [self.table.data_file(file, hour) for hour, file in self.write(rows)]
        self.written += len(added)
        facts = {"lake.events": str(len(events))}
        self.land(lambda: self.table.row_delta(position, self.head, added=added, facts=facts), position)

    def rows(self, events: Events, generation: int, source: SourceTable) -> pa.Table:
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
            "generation": pa.repeat(pa.scalar(generation, pa.int32()), len(events)),
            "key": _struct(events.keys(source.key), pc.invert(truncate)),
            "before": _struct(events.before, known_before),
            "after": _struct(events.after, has_after),
        }
        return pa.table(columns)

    def write(self, rows: pa.Table) -> list[tuple[str, WrittenFile]]:
        """Write rows to one file per hour of commit, with each one's partition."""
        shape = shaped(rows, self.table.arrow_schema)
        hours = pc.divide(shape["committed_at"].cast(pa.int64()), _MICROSECONDS_PER_HOUR)
        location = self.table.data_location
        written = []
        for hour in pc.unique(hours).to_pylist():
            part = shape.filter(pc.equal(hours, hour))
            folder = f"{location}/committed_at_hour={datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d-%H}"
            # Iceberg reads an hour partition back as the number of hours since 1970, not as the folder's text.
            written.append((f"committed_at_hour={hour}", self.table.lake.store.write_parquet(folder, part)))
        return written


def _struct(table: pa.Table, valid: pa.Array) -> pa.StructArray:
    """A table's columns as one struct column, null where not `valid`."""
    columns = [column.combine_chunks() for column in table.columns]
    fields = [field.with_nullable(True) for field in table.schema]
    return pa.StructArray.from_arrays(columns, fields=fields, mask=pc.invert(valid))
