"""Iceberg tables the stream writes: each commit carries a position and lands only on the snapshot it was made from.

Writes go through Iceberg's own Java API in Spark's JVM, because pyiceberg cannot write format version 3. A commit is a
compare-and-set: the new snapshot's parent must be the snapshot that was read, and the REST catalog takes it only if
the branch's head is still that parent. Iceberg's own operations would apply a stale change again on the new head. It
is sent once: a refused commit is planned again, an unanswered one is looked up.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import structlog
from py4j.protocol import Py4JJavaError
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyspark.sql import SparkSession

from catalog.access import catalog_properties, catalog_secrets, store_properties, store_secrets
from catalog.errors import ComponentError, StaleSnapshotError
from catalog.positions import Position, SnapshotEntry, position_of, saved_position
from catalog.settings import CATALOG, Settings
from catalog.tables.cdc import NEXT_GENERATION, POSITION_PROPERTY
from streaming.partitioning import partitions
from streaming.puffin import Vector
from streaming.store import Store, WrittenFile

log = structlog.get_logger()

MAIN = "main"
DRIVER_PROPERTY = "lake.driver"
COMMIT_PROPERTY = "lake.commit"
_REFUSED = ("CommitFailedException", "ValidationException")


@dataclass(frozen=True)
class LiveFile:
    """A data file of a snapshot. Bounds are of the first key column, None where unknown; `partition` as a path."""

    path: str
    size: int
    rows: int
    lower: bytes | None
    upper: bytes | None
    vector: Vector | None
    java: Any
    partition: str = ""


def written_live(written: WrittenFile, java: Any, partition: str = "") -> LiveFile:
    """A file that a commit has just added."""
    return LiveFile(written.path, written.size, written.rows, None, None, None, java, partition)


class Lake:
    """The REST catalog and the store, for one streaming driver."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark, self.store = spark, Store(settings)
        self.driver_id = str(uuid.uuid4())
        self.jvm: Any = spark._jvm
        self.package: Any = self.jvm.org.apache.iceberg
        options = {
            **catalog_properties(settings),
            **catalog_secrets(settings),
            **store_properties(settings),
            **store_secrets(settings),
            "rest.client.max-retries": "1",  # the least it takes; a POST is never sent again on a lost connection
            "rest-metrics-reporting-enabled": "false",
        }
        self.catalog: Any = self.package.rest.RESTCatalog()
        self.catalog.initialize(CATALOG, options)

    def create(self, statement: str) -> None:
        """Run a `CREATE … IF NOT EXISTS` statement."""
        self.spark.sql(statement)

    def has_table(self, identifier: str) -> bool:
        """Whether `namespace.table` exists."""
        return bool(self.catalog.tableExists(self.place(identifier)))

    def table(self, identifier: str) -> IcebergTable:
        """Load `namespace.table`."""
        return IcebergTable(self, identifier, self.catalog.loadTable(self.place(identifier)))

    def place(self, identifier: str) -> Any:
        """The Java name of `namespace.table`."""
        namespace, name = identifier.rsplit(".", 1)
        of_namespace = self.package.catalog.Namespace.of(_strings(self, [namespace]))
        return self.package.catalog.TableIdentifier.of(of_namespace, name)


def _strings(lake: Lake, values: Sequence[str]) -> Any:
    array = lake.spark.sparkContext._gateway.new_array(lake.jvm.java.lang.String, len(values))
    for place, value in enumerate(values):
        array[place] = value
    return array


class IcebergTable:
    """One table. `head` is the snapshot that the next commit to a branch must land on."""

    def __init__(self, lake: Lake, identifier: str, java: Any) -> None:
        self.lake, self.identifier, self.java = lake, identifier, java
        self.spec = java.spec()
        self.data_location = f"{java.location()}/data"
        self.schema = self._schema()
        self.arrow_schema = schema_to_pyarrow(self.schema)
        self._metrics = lake.package.MetricsConfig.forTable(java)

    def _schema(self) -> Schema:
        return Schema.model_validate_json(self.lake.package.SchemaParser.toJson(self.java.schema()))

    def refresh(self) -> None:
        """Read the table's metadata again."""
        self.java.refresh()
        self.spec = self.java.spec()
        self.schema = self._schema()
        self.arrow_schema = schema_to_pyarrow(self.schema)
        self._metrics = self.lake.package.MetricsConfig.forTable(self.java)

    def head(self, branch: str = MAIN) -> int | None:
        """The snapshot id at the head of a branch; None where there is none."""
        snapshot = self.java.snapshot(branch)
        return None if snapshot is None else int(snapshot.snapshotId())

    def property(self, name: str) -> str | None:
        """A table property."""
        value = self.java.properties().get(name)
        return None if value is None else str(value)

    def position(self, branch: str = MAIN) -> Position | None:
        """The position of a branch. Raises PositionLostError."""
        head = self.head(branch)
        return None if head is None else self.position_at(head)

    def position_at(self, snapshot_id: int) -> Position | None:
        """The position of a snapshot. Raises PositionLostError."""
        saved = self.property(POSITION_PROPERTY)
        properties = {} if saved is None else {POSITION_PROPERTY: saved}
        return position_of(self._ancestors(snapshot_id), snapshot_id, properties)

    def _ancestors(self, snapshot_id: int) -> Iterator[SnapshotEntry]:
        snapshot = self.java.snapshot(snapshot_id)
        while snapshot is not None:
            summary = {str(name): str(value) for name, value in dict(snapshot.summary()).items()}
            parent = snapshot.parentId()
            yield SnapshotEntry(int(snapshot.snapshotId()), parent, snapshot.operation(), summary)
            if POSITION_PROPERTY in summary or parent is None:
                return
            snapshot = self.java.snapshot(parent)

    def is_on_main_line(self, snapshot_id: int) -> bool:
        """Whether a snapshot is the table's head or led to it."""
        ancestors = self.lake.package.util.SnapshotUtil
        return self.has_snapshot(snapshot_id) and bool(ancestors.isAncestorOf(self.java, snapshot_id))

    def has_snapshot(self, snapshot_id: int) -> bool:
        """Whether a snapshot is still there."""
        return self.java.snapshot(snapshot_id) is not None

    def live_files(self, key_column: str | None, branch: str = MAIN, *, at: int | None = None) -> Iterator[LiveFile]:
        """The data files of a branch's head, or of the snapshot `at`, with their vectors."""
        head = self.head(branch) if at is None else at
        if head is None:
            return
        key_id = str(self.java.schema().findField(key_column).fieldId()) if key_column else ""
        tasks = self.java.newScan().useSnapshot(head).includeColumnStats().planFiles()
        try:
            iterator = tasks.iterator()
            while iterator.hasNext():
                yield self._live_file(iterator.next(), key_id)
        finally:
            tasks.close()

    def _live_file(self, task: Any, key_id: str) -> LiveFile:
        parser, java = self.lake.package.ContentFileParser, task.file()
        fields = json.loads(parser.toJson(java, self.spec))
        lower, upper = (_bounds(fields.get(f"{side}-bounds")).get(key_id) for side in ("lower", "upper"))
        vectors = [json.loads(parser.toJson(delete, self.spec)) for delete in task.deletes()]
        if any(vector["file-format"].lower() != "puffin" for vector in vectors):
            raise ComponentError(
                f"{self.identifier} has delete files that are not deletion vectors: another writer touched it",
                remedy=f"lake resync {self.identifier}",
            )
        vector = None
        for found in vectors:
            place = (found["content-offset"], found["content-size-in-bytes"])
            size, count = found["file-size-in-bytes"], found["record-count"]
            vector = Vector(found["file-path"], size, count, found["referenced-data-file"], *place)
        path, size, rows = fields["file-path"], fields["file-size-in-bytes"], fields["record-count"]
        return LiveFile(path, size, rows, lower, upper, vector, java, self.partition_of(java))

    def partition_of(self, file: Any) -> str:
        """The partition of a described data file as a path, empty where there is none."""
        return str(self.spec.partitionToPath(file.partition())) if self.spec.isPartitioned() else ""

    def partitioned_by(self) -> list[str]:
        """The columns that partitions are made of."""
        fields = self.spec.fields()
        return [str(self.schema.find_column_name(fields.get(n).sourceId())) for n in range(fields.size())]

    def parts(self, rows: pa.Table) -> Iterator[tuple[Sequence[str], pa.Table]]:
        """Rows in the table's shape by partition, whose values are as `written` takes them."""
        if not self.spec.isPartitioned():
            return iter([((), rows)])
        spec = PartitionSpec.model_validate_json(self.lake.package.PartitionSpecParser.toJson(self.spec))
        return partitions(rows, spec, self.schema, self.identifier)

    def written(self, written: WrittenFile, values: Sequence[str] = ()) -> LiveFile:
        """A Parquet file that holds rows of one partition."""
        if not values:
            return written_live(written, self.data_file(written))
        listed = self.lake.jvm.java.util.ArrayList()
        for value in values:
            listed.add(value)
        java = self._measured(written).withPartitionValues(listed).build()
        return written_live(written, java, self.partition_of(java))

    def data_file(self, written: WrittenFile, partition: str = "") -> Any:
        """The Java description of a written Parquet file; `partition` as `name=value`."""
        builder = self._measured(written)
        return (builder.withPartitionPath(partition) if partition else builder).build()

    def data_file_without_bounds(self, written: WrittenFile, partition: str) -> Any:
        """The same, told apart by its partition alone: nothing is read of the file."""
        return self._described(written).withRecordCount(written.rows).withPartitionPath(partition).build()

    def _measured(self, written: WrittenFile) -> Any:
        source = self.java.io().newInputFile(written.path, written.size)
        metrics = self.lake.package.parquet.ParquetUtil.fileMetrics(source, self._metrics)
        return self._described(written).withMetrics(metrics)

    def _described(self, written: WrittenFile) -> Any:
        builder = self.lake.package.DataFiles.builder(self.spec).withPath(written.path).withFormat("parquet")
        return builder.withFileSizeInBytes(written.size)

    def delete_file(self, vector: Vector, of: LiveFile) -> Any:
        """The Java description of a deletion vector of a data file."""
        builder = self.lake.package.FileMetadata.deleteFileBuilder(self.spec).ofPositionDeletes()
        builder = builder.withPath(vector.path).withFormat("puffin").withFileSizeInBytes(vector.file_size)
        builder = builder.withRecordCount(vector.cardinality).withReferencedDataFile(vector.data_file)
        if self.spec.isPartitioned():
            builder = builder.withPartition(of.java.partition())
        return builder.withContentOffset(vector.offset).withContentSizeInBytes(vector.length).build()

    def row_delta(
        self,
        position: Position,
        read: int | None,
        *,
        added: Sequence[Any] = (),
        vectors: Sequence[tuple[Any, Any | None]] = (),
        removed: Sequence[LiveFile] = (),
        branch: str = MAIN,
        facts: dict[str, str] | None = None,
    ) -> int:
        """Commit added files, vectors (new, replaced) and removed files; returns the new snapshot's id.

        Raises StaleSnapshotError unless the branch's head is still the snapshot `read`.
        """
        update = self.java.newRowDelta()
        for file in added:
            update.addRows(file)
        for new, old in vectors:
            update.addDeletes(new)
            if old is not None:
                update.removeDeletes(old)
        for gone in removed:
            update.removeRows(gone.java)
            if gone.vector is not None:
                update.removeDeletes(self.delete_file(gone.vector, gone))
        return self._commit(update, position, read, branch, facts)

    def overwrite(
        self,
        position: Position,
        read: int | None,
        *,
        added: Sequence[Any],
        removed: Sequence[LiveFile] | None = None,
        branch: str = MAIN,
        facts: dict[str, str] | None = None,
    ) -> int:
        """Commit the removal of files, by default of all rows, and the added files, as `row_delta` does."""
        update = self.java.newOverwrite()
        if removed is None:
            update.overwriteByRowFilter(self.lake.package.expressions.Expressions.alwaysTrue())
        for file in removed or ():
            update.deleteFile(file.java)
        for file in added:
            update.addFile(file)
        return self._commit(update, position, read, branch, facts)

    def rewrite(
        self,
        position: Position,
        read: int,
        removed: Sequence[LiveFile],
        added: Sequence[Any],
        vectors: Sequence[Any] = (),
    ) -> int:
        """Commit files and their vectors in the place of others that hold the same live rows, as `row_delta` does."""
        update = self.java.newRewrite()
        for file in removed:
            update.deleteFile(file.java)
            if file.vector is not None:
                update.deleteFile(self.delete_file(file.vector, file))
        for file in (*added, *vectors):
            update.addFile(file)
        return self._commit(update, position, read, MAIN, None)

    def _commit(
        self, update: Any, position: Position, read: int | None, branch: str, facts: dict[str, str] | None
    ) -> int:
        commit_id = str(uuid.uuid4())
        summary = {
            POSITION_PROPERTY: position.to_json(),
            DRIVER_PROPERTY: self.lake.driver_id,
            COMMIT_PROPERTY: commit_id,
            **(facts or {}),
        }
        if branch != MAIN:
            update.toBranch(branch)
        if read is not None:  # otherwise every earlier vector of a file counts as a conflict
            update.validateFromSnapshot(read)
        for name, value in summary.items():
            update.set(name, value)
        try:
            snapshot = update.apply()  # reads the table's head and writes manifests on it
            if snapshot.parentId() != read:
                raise StaleSnapshotError(f"{self.identifier}: its head is {snapshot.parentId()}, {read} was read")
            snapshot_id = int(snapshot.snapshotId())
            operations = self.java.operations()
            base = operations.current()
            metadata = self.lake.package.TableMetadata.buildFrom(base).setBranchSnapshot(snapshot, branch)
            if branch == MAIN:
                metadata.setProperties({POSITION_PROPERTY: saved_position(position, snapshot_id)})
            operations.commit(base, metadata.build())
        except Py4JJavaError as failure:
            return self._after_failure(failure, commit_id, branch)
        return snapshot_id

    def _after_failure(self, failure: Py4JJavaError, commit_id: str, branch: str) -> int:
        """A refusal is a StaleSnapshotError; of any other failure the outcome is unknown, so it is looked up."""
        kind = failure.java_exception.getClass().getSimpleName()
        message = str(failure.java_exception.getMessage()).split("\n")[0]
        try:
            self.java.refresh()
        except Py4JJavaError as unreachable:
            raise ComponentError(
                f"{self.identifier}: a commit had no answer ({kind}) and the REST catalog does not answer now",
                remedy="it is looked up again when the catalog is back; lake status",
            ) from unreachable
        head = self.java.snapshot(branch)
        if head is not None and dict(head.summary()).get(COMMIT_PROPERTY) == commit_id:
            log.warning("a commit without an answer had landed", table=self.identifier, kind=kind)
            return int(head.snapshotId())
        if kind in _REFUSED:
            raise StaleSnapshotError(f"{self.identifier}: commit refused, {message}") from failure
        raise ComponentError(
            f"{self.identifier}: commit failed with {kind}: {message}", remedy="lake status; lake logs catalog"
        ) from failure

    def adopt_next_generation(self) -> None:
        """Make the branch of the next generation the table, and drop the branch."""
        branch = self.java.snapshot(NEXT_GENERATION)
        position = Position.from_json(dict(branch.summary())[POSITION_PROPERTY])
        saved = saved_position(position, int(branch.snapshotId()))
        transaction = self.java.newTransaction()
        refs = transaction.manageSnapshots()
        is_first = self.head() is None
        refs = (refs.createBranch if is_first else refs.replaceBranch)(MAIN, branch.snapshotId())
        refs.removeBranch(NEXT_GENERATION).commit()
        transaction.updateProperties().set(POSITION_PROPERTY, saved).commit()
        transaction.commitTransaction()

    def set_back(self, snapshot_id: int, saved: str) -> None:
        """Make an earlier snapshot of the main line the table, with its position as it is saved, in one commit."""
        transaction = self.java.newTransaction()
        transaction.manageSnapshots().rollbackTo(snapshot_id).commit()
        transaction.updateProperties().set(POSITION_PROPERTY, saved).commit()
        transaction.commitTransaction()

    def drop_next_generation(self) -> None:
        """Throw an unfinished copy away."""
        if self.java.snapshot(NEXT_GENERATION) is not None:
            self.java.manageSnapshots().removeBranch(NEXT_GENERATION).commit()

    def set_property(self, name: str, value: str | None) -> None:
        """Set a table property that is not a position; None removes it."""
        update = self.java.updateProperties()
        (update.remove(name) if value is None else update.set(name, value)).commit()


def _bounds(encoded: Any) -> dict[str, bytes]:
    """`{"keys": [field ids], "values": [hex]}` of ContentFileParser as bytes by field id."""
    if not encoded:
        return {}
    return {str(key): bytes.fromhex(value) for key, value in zip(encoded["keys"], encoded["values"], strict=True)}
