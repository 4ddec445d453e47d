"""The writers that are compared: key lookup with deletion vectors, and Spark's MERGE in both of its modes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as parquet
from pyspark.sql import SparkSession

from bench.trips import KEY, TRIPS, Batch, Keys, source, trips
from catalog.positions import PartitionPosition, Position
from catalog.settings import CATALOG, Settings
from catalog.source import SourceTable
from catalog.tables.cdc import TABLE_PROPERTIES, create_table, mirror_schema
from streaming.compaction import mirror_job
from streaming.files import KeyCache
from streaming.iceberg import IcebergTable, Lake
from streaming.mirror import Mirror
from streaming.shape import shaped
from streaming.tasks import Tasks

NAMESPACE = "bench"
ROWS_PER_FILE = 1_000_000
_TOPIC = "bench"
_MERGE = """
merge into {table} as t using {batch} as b on t.{key} = b.{key}
when matched and b.op = 'd' then delete
when matched then update set *
when not matched and b.op <> 'd' then insert *
"""


class WriterName(StrEnum):
    """`lookup` and `tasks` are the stream's own writer, in the driver and in Spark tasks; the others are MERGE."""

    LOOKUP = "lookup"
    TASKS = "tasks"
    MERGE_V3 = "merge-v3"
    MERGE_COW = "merge-cow"

    @property
    def words(self) -> str:
        """What it is."""
        return {
            "lookup": "key lookup",
            "tasks": "key lookup as Spark tasks",
            "merge-v3": "Spark MERGE, merge-on-read v3",
            "merge-cow": "Spark MERGE, copy-on-write",
        }[self.value]

    @property
    def table(self) -> str:
        """Its table, `namespace.table`."""
        return f"{NAMESPACE}.{self.value.replace('-', '_')}"


class Writer(Protocol):
    """Brings one table from batch to batch."""

    def ready(self, batch: Batch) -> None:
        """Prepare a batch; not counted."""

    def apply(self) -> None:
        """Apply the batch that is ready."""


class KeyLookup:
    """The stream's writer as the stream calls it, files rewritten after each batch where that is due."""

    def __init__(
        self,
        table: IcebergTable,
        keys: Keys,
        small_files: int,
        cache: KeyCache,
        threads: Executor,
        tasks: Tasks | None = None,
    ) -> None:
        self._small_files = small_files
        self._mirror = Mirror(table, source(keys), cache, threads, tasks)
        self._mirror.load()

    def ready(self, batch: Batch) -> None:
        """Events are what the writer takes."""
        self._batch = batch

    def apply(self) -> None:
        """Fold, look up, write and commit."""
        self._mirror.apply(self._batch.events, _position(self._batch.next_offset))
        if job := mirror_job(self._mirror, self._small_files):
            job().put_in_place()


class SparkMerge:
    """MERGE of a batch that lies in a local Parquet file."""

    def __init__(self, spark: SparkSession, name: WriterName, folder: Path) -> None:
        self._spark, self._path = spark, folder / "batch.parquet"
        self._statement = _MERGE.format(table=f"{CATALOG}.{name.table}", batch="batch", key=KEY)

    def ready(self, batch: Batch) -> None:
        """Write the batch's file."""
        parquet.write_table(batch.rows(), self._path)

    def apply(self) -> None:
        """Read the batch and run the statement."""
        self._spark.read.parquet(self._path.as_uri()).createOrReplaceTempView("batch")
        self._spark.sql(self._statement)


def writer(name: WriterName, lake: Lake, settings: Settings, folder: Path, threads: Executor) -> Writer:
    """The writer of this name over its table, which is loaded."""
    if name is WriterName.LOOKUP:
        cache = KeyCache(settings.key_cache_bytes)
        return KeyLookup(lake.table(name.table), Keys.INTEGER, settings.small_files, cache, threads)
    if name is WriterName.TASKS:
        tasks, nothing_held = Tasks(lake.spark, lake.store), KeyCache(0)
        return KeyLookup(lake.table(name.table), Keys.INTEGER, settings.small_files, nothing_held, threads, tasks)
    return SparkMerge(lake.spark, name, folder)


def load(lake: Lake, names: Sequence[WriterName], rows: int) -> None:
    """Make each writer's table with the same `rows` trips; the data files are written once and shared."""
    tables = []
    for name in names:
        mode = "copy-on-write" if name is WriterName.MERGE_COW else "merge-on-read"
        tables.append(make(lake, name.table, TRIPS, {"write.merge.mode": mode}))
    starts = range(0, rows, ROWS_PER_FILE)
    fill(tables, (trips(start, min(ROWS_PER_FILE, rows - start)) for start in starts))


def make(lake: Lake, identifier: str, source: SourceTable, properties: Mapping[str, str] | None = None) -> IcebergTable:
    """An empty table of the benchmark's namespace, as the stream makes a mirror."""
    lake.create(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{NAMESPACE}")
    known = {**TABLE_PROPERTIES, **(properties or {})}
    lake.create(create_table(f"{CATALOG}.{identifier}", mirror_schema(source), properties=known))
    return lake.table(identifier)


def fill(tables: Sequence[IcebergTable], parts: Iterable[pa.Table]) -> None:
    """Give every table the same data files, one for each part, in one commit."""
    first = tables[0]
    files = [first.lake.store.write_parquet(first.data_location, shaped(part, first.arrow_schema)) for part in parts]
    for table in tables:
        table.row_delta(_position(0), None, added=[table.data_file(file) for file in files])


def drop(lake: Lake) -> None:
    """Drop namespace and tables of the benchmark with their files, those of a run that was killed as well."""
    if NAMESPACE not in {row.namespace for row in lake.spark.sql(f"SHOW NAMESPACES IN {CATALOG}").collect()}:
        return
    for row in lake.spark.sql(f"SHOW TABLES IN {CATALOG}.{NAMESPACE}").collect():
        table = lake.table(f"{NAMESPACE}.{row.tableName}").java
        lake.spark.sql(f"DROP TABLE {CATALOG}.{NAMESPACE}.{row.tableName}")
        # PURGE would look for the files in metadata, which does not name all of them any more
        table.io().deletePrefix(f"{table.location()}/")
    lake.spark.sql(f"DROP NAMESPACE {CATALOG}.{NAMESPACE}")


def _position(next_offset: int) -> Position:
    return Position(_TOPIC, {0: PartitionPosition(next_offset)})
