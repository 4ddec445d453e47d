"""Tables tidied up by Spark's own procedures, while everything else goes on: files, manifests, snapshots, orphans.

Rewriting changes no rows: what a snapshot said before, it says after. What the stream touched meanwhile, a group of
files or the manifests, is refused at its commit and left as it was, so that cold data is compacted at any time and hot
data is left to the stream, which merges its small files between epochs and thins its snapshots out
(https://iceberg.apache.org/docs/latest/spark-procedures/).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from catalog.retention import OLDEST, expired
from catalog.settings import CATALOG
from catalog.tables.cdc import POSITION_PROPERTY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyspark.sql import SparkSession

_REWRITE = {
    "partial-progress.enabled": "true",  # a refused group fails alone
    "partial-progress.max-commits": "100",
    "partial-progress.max-failed-commits": "100",
    "max-file-group-size-bytes": str(256 << 20),
    "max-concurrent-file-group-rewrites": "1",
    "delete-ratio-threshold": "0.1",
    "min-input-files": "5",
}
_OPTIONS = ", ".join(f"'{name}', '{value}'" for name, value in _REWRITE.items())
_OVERTAKEN = ("CommitFailedException", "ValidationException")
"""What a rewrite of manifests is refused with when the stream committed meanwhile; one of files just counts none."""


@dataclass
class Upkeep:
    """What was done to one table: how many of each were rewritten or removed; `refused` says what did not work."""

    table: str
    files: int = 0
    bytes: int = 0
    manifests: int = 0
    snapshots: int = 0
    orphans: int = 0
    refused: str = ""


def maintain(spark: SparkSession, catalog: Catalog, tables: Sequence[str], orphan_age: timedelta) -> Iterator[Upkeep]:
    """Tidy up tables, `namespace.table`, one after the other. A failure of one is told and stops no other.

    Orphans of less than a day Iceberg refuses to remove: they may belong to a commit that is under way.
    """
    for table in tables:
        done = Upkeep(table)
        try:
            _rewrite(spark, done)
            _expire(spark, catalog, done)
            _remove_orphans(spark, done, orphan_age)
        except (PySparkException, Py4JJavaError) as failed:
            done.refused = _cause(failed)
        yield done


def _rewrite(spark: SparkSession, done: Upkeep) -> None:
    files = _call(spark, "rewrite_data_files", done, f"options => map({_OPTIONS})")[0]
    done.files, done.bytes = files["rewritten_data_files_count"], files["rewritten_bytes_count"]
    if failed := files["failed_data_files_count"]:
        done.refused = f"{failed} data files could not be read or written"
    try:
        done.manifests = _call(spark, "rewrite_manifests", done)[0]["rewritten_manifests_count"]
    except Py4JJavaError as refused:
        if refused.java_exception.getClass().getSimpleName() not in _OVERTAKEN:
            raise


def _expire(spark: SparkSession, catalog: Catalog, done: Upkeep) -> None:
    """Of the stream's tables it knows itself which snapshots it needs."""
    table = catalog.load_table(done.table)
    if POSITION_PROPERTY in table.properties:
        return
    now = datetime.now(UTC)
    found = [(each.snapshot_id, datetime.fromtimestamp(each.timestamp_ms / 1000, UTC)) for each in table.snapshots()]
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
    gone = [each for each in expired(found, now) if each not in heads]
    if gone:
        listed = ", ".join(f"{each}L" for each in gone)
        older = f"older_than => {_timestamp(now - OLDEST)}"
        _call(spark, "expire_snapshots", done, older, f"snapshot_ids => array({listed})")
    done.snapshots = len(gone)


def _remove_orphans(spark: SparkSession, done: Upkeep, age: timedelta) -> None:
    """Files that no snapshot knows: of commits that never landed. Listed by prefix, because S3 has no folders."""
    older = f"older_than => {_timestamp(datetime.now(UTC) - age)}"
    done.orphans = len(_call(spark, "remove_orphan_files", done, older, "prefix_listing => true"))


def _timestamp(at: datetime) -> str:
    return f"timestamp '{at:%Y-%m-%d %H:%M:%S}'"


def _call(spark: SparkSession, procedure: str, done: Upkeep, *arguments: str) -> list[Any]:
    given = ", ".join((f"table => '{done.table}'", *arguments))
    return spark.sql(f"call {CATALOG}.system.{procedure}({given})").collect()


def _cause(failed: Exception) -> str:
    """The first line of what Java said."""
    said = failed.java_exception.getMessage() if isinstance(failed, Py4JJavaError) else str(failed)
    return (said or type(failed).__name__).splitlines()[0]
