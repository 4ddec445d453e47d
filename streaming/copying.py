"""A resync: one table rebuilt from Postgres as a new generation, while the others go on.

1. The table stands still at an offset c of its topic (its position, or the topic's end where records were lost).
2. A moment later all rows are read in one Postgres snapshot, which so sees every event below c. They become files that
   no table refers to yet; a crash up to here leaves nothing.
3. A barrier row passes Kafka: the topic's end is then behind everything that the snapshot saw.
4. The changelog gets the rows as a new generation, in one commit that keeps its position.
5. The branch of the next generation gets them, in one commit at position c.

From then on the table streams again, on the branch. Events of transactions that the snapshot saw are passed over: the
copied rows hold them, perhaps in a schema that these events do not know; the changelog keeps them as the generation
before's. At the barrier the branch becomes the table. A crash between 4 and 5 leaves a generation of the changelog
that the next try outnumbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from catalog.errors import TableStoppedError
from catalog.positions import Copy, PartitionPosition, Position, PositionLostError
from catalog.settings import CATALOG, Settings
from catalog.source import SourceTable
from catalog.tables.cdc import LEFT_PROPERTY, NEXT_GENERATION, POSITION_PROPERTY, SOURCE_PROPERTY
from catalog.types import Form
from catalog.verification.barrier import SourcePoint, pass_barrier, source_point, topic_targets
from catalog.verification.source_rows import NOT_HOLDABLE, KeyRange, key_ranges, range_key, read_range
from streaming.audit import Topic, TopicAudit
from streaming.changelog import Changelog
from streaming.evolution import require_rebuildable, statements
from streaming.iceberg import IcebergTable, Lake
from streaming.schemas import SourceSchemas
from streaming.shape import shaped

log = structlog.get_logger()

_ROWS_PER_FILE = 250_000
_SETTLE_SECONDS = 1.0
"""Between a commit's record in the WAL and its visibility lie microseconds; this is ample."""
_BARRIER_SECONDS = 120.0


class Copier:
    """Rebuilds one table."""

    def __init__(self, settings: Settings, lake: Lake, schemas: SourceSchemas, audit: TopicAudit) -> None:
        self._settings, self._lake, self._schemas, self._audit = settings, lake, schemas, audit

    def copy(self, name: str, say: Callable[[str], None]) -> int:
        """Rebuild `schema.table`; returns the rows copied. Raises TableStoppedError, ComponentError."""
        source = next((table for table in self._schemas.read() if table.qualified == name), None)
        if source is None:
            raise TableStoppedError(name, "it is not in the publication", remedy=f"lake add {name}")
        topic = self._audit.read([source.topic(self._settings.topic_prefix)])
        if not topic:
            raise TableStoppedError(name, "it has no topic", remedy=f"lake add {name}")
        (found,) = topic.values()
        if len(found.earliest) != 1:
            raise TableStoppedError(name, "a topic with several partitions has no order to rebuild a table in")
        mirror, changelog = self._prepared(source)
        generation = max(_generation(mirror), _generation(changelog)) + 1
        start = self._start(changelog, mirror, found)
        time.sleep(_SETTLE_SECONDS)
        with source_point(self._settings) as point:
            rows, mirror_files, changelog_files = self._write(source, point, generation, mirror, changelog, say)
        say("waiting for the barrier in Kafka")
        pass_barrier(self._settings, time.monotonic() + _BARRIER_SECONDS)
        until = topic_targets(self._settings, [found.name])[found.name][0]
        began = start.next_offset
        copy = Copy(point.lsn, None, rows, until, point.visible.text)
        position = Position(found.topic_id, {0: start}, generation, copy, generation_start=began)
        changelog.row_delta(position, changelog.head(), added=changelog_files)
        mirror.drop_next_generation()
        mirror.refresh()
        mirror.overwrite(position, mirror.head(), added=mirror_files, branch=NEXT_GENERATION)
        log.info("copied", table=name, rows=rows, generation=generation, start=start.next_offset, until=until)
        return rows

    def _prepared(self, source: SourceTable) -> tuple[IcebergTable, IcebergTable]:
        """Both tables, in the source's present shape."""
        self._schemas.create(source)
        mirror, changelog = self._lake.table(source.mirror), self._lake.table(source.changelog)
        names = (f"{CATALOG}.{source.mirror}", f"{CATALOG}.{source.changelog}")
        require_rebuildable(mirror.arrow_schema, changelog.arrow_schema, source, mirror.partitioned_by())
        for statement in statements(mirror.arrow_schema, changelog.arrow_schema, source, *names):
            self._lake.create(statement)
        mirror.refresh()
        changelog.refresh()
        mirror.set_property(SOURCE_PROPERTY, source.to_json())
        mirror.set_property(LEFT_PROPERTY, None)
        return mirror, changelog

    def _start(self, changelog: IcebergTable, mirror: IcebergTable, topic: Topic) -> PartitionPosition:
        """Where the table stands; the topic's end where it cannot go on from there."""
        try:
            known = changelog.position()
        except PositionLostError:
            known = None
        if known is not None and known.topic_id == topic.topic_id:
            at = known.partitions.get(0, PartitionPosition(0))
            if at.next_offset >= topic.earliest[0]:
                return at
        if changelog.property(POSITION_PROPERTY) is not None:
            log.warning("records between the position and the topic's end are passed over", table=mirror.identifier)
        return PartitionPosition(topic_targets(self._settings, [topic.name])[topic.name][0])

    def _write(
        self,
        source: SourceTable,
        point: SourcePoint,
        generation: int,
        mirror: IcebergTable,
        changelog: IcebergTable,
        say: Callable[[str], None],
    ) -> tuple[int, list[Any], list[Any]]:
        key = range_key(point.connection, source)
        cuts = key_ranges(point.connection, source, key, _ROWS_PER_FILE)
        writer, rows = Changelog(changelog), 0
        mirror_files: list[Any] = []
        changelog_files: list[Any] = []
        for table in _ahead(cuts, lambda cut: _as_held(read_range(point.connection, source, key, cut), source)):
            if not len(table):
                continue
            rows += len(table)
            say(f"copying, {rows:,} rows so far")
            ordered = table.sort_by([(name, "ascending") for name in source.key]) if source.key else table
            for values, part in mirror.parts(shaped(ordered, mirror.arrow_schema)):
                written = self._lake.store.write_parquet(mirror.data_location, part)
                mirror_files.append(mirror.written(written, values).java)
            copied = _copied_rows(ordered, source, point, generation)
            changelog_files += [writer.data_file(file, hour) for hour, file in writer.write(copied)]
        if not rows:
            nothing = _nothing_copied(point, generation)
            changelog_files = [writer.data_file(file, hour) for hour, file in writer.write(nothing)]
        return rows, mirror_files, changelog_files


def _ahead(cuts: Sequence[KeyRange], read: Callable[[KeyRange], pa.Table]) -> Iterator[pa.Table]:
    """Each range's rows; Postgres gives the next range while one is being written."""
    with ThreadPoolExecutor(1, "copy-reader") as reader:
        reading = reader.submit(read, cuts[0])
        for following in [*cuts[1:], None]:
            rows = reading.result()
            if following is not None:
                reading = reader.submit(read, following)
            yield rows


def _generation(table: IcebergTable) -> int:
    """The last generation, also of a table whose position was lost."""
    saved = table.property(POSITION_PROPERTY)
    return Position.from_json(json.loads(saved)["position"]).generation if saved else 0


def _as_held(rows: pa.Table, source: SourceTable) -> pa.Table:
    """Rows as the lake holds them. Raises TableStoppedError for values that it cannot hold."""
    if NOT_HOLDABLE in rows.column_names:
        bad = rows.filter(pc.is_valid(rows[NOT_HOLDABLE]))
        example = bad.select([*source.key, NOT_HOLDABLE]).slice(0, 1).to_pylist()
        raise TableStoppedError(
            source.qualified,
            f"{len(bad)} rows hold values that Iceberg cannot, such as {example}",
            remedy="correct them in the source, or exclude the column",
        )
    for place, column in enumerate(source.columns):
        if column.type.form is Form.BASE64:
            values = [None if text is None else bytes.fromhex(text) for text in rows[column.name].to_pylist()]
            rows = rows.set_column(place, column.name, pa.array(values, pa.binary()))
    return rows


def _copied_rows(rows: pa.Table, source: SourceTable, point: SourcePoint, generation: int) -> pa.Table:
    """Copied rows as rows of the changelog: op `r`, at no place of the topic."""
    images = [column.combine_chunks() for column in rows.columns]
    events = _events("r", len(rows), point, generation)
    if source.key:
        keys = [rows[name].combine_chunks() for name in source.key]
        events = events.append_column("key", pa.StructArray.from_arrays(keys, names=list(source.key)))
    return events.append_column("after", pa.StructArray.from_arrays(images, names=rows.column_names))


def _nothing_copied(point: SourcePoint, generation: int) -> pa.Table:
    """A generation that begins without a row: a truncate, without which nothing would tell of it."""
    return _events("t", 1, point, generation)


def _events(op: str, count: int, point: SourcePoint, generation: int) -> pa.Table:
    nothing = pa.nulls(count, pa.int64())
    return pa.table(
        {
            "op": pa.repeat(pa.scalar(op), count),
            "previous_commit_lsn": nothing,
            "lsn": pa.repeat(pa.scalar(point.lsn, pa.int64()), count),
            "transaction_id": nothing,
            "committed_at": pa.repeat(pa.scalar(point.at, pa.timestamp("us", "UTC")), count),
            "topic_partition": pa.nulls(count, pa.int32()),
            "topic_offset": nothing,
            "generation": pa.repeat(pa.scalar(generation, pa.int32()), count),
        }
    )
