"""How batch tables are made and how one interval of a table replaces itself: in one commit, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from catalog.retention import AGE_PROPERTY
from catalog.settings import CATALOG
from catalog.tables.ddl import column_definition, create_statement
from catalog.tables.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PROPERTIES = {
    "format-version": "3",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    **AGE_PROPERTY,
    # a load replaces what matches its filter at the moment of the commit, so trying again is right
    "commit.retry.num-retries": "10",
}

_WRITE = "lake.write"
"""In a snapshot's summary: which write made it, so that one of two at once finds its own."""


def ensure_table(spark: SparkSession, table: Table) -> None:
    """Create the table where it is missing, and add columns that its declaration has gained."""
    spark.sql(f"create namespace if not exists {CATALOG}.{table.namespace}")
    spark.sql(create_statement(table, PROPERTIES))
    held = set(spark.table(_name(table)).columns)
    for column in table.columns:
        if column.name not in held:
            spark.sql(f"alter table {_name(table)} add column {column_definition(column)}")


def replace(spark: SparkSession, table: Table, rows: DataFrame, where: str) -> int:
    """Replace the rows that match `where`, whole partitions, by `rows`; the id of the snapshot that did it.

    `rows` has the declared columns in any order and lies within `where`. Running it again gives the same table; of two
    at once the later wins as a whole.
    """
    chosen = [f"cast({column.name} as {column.type}) as {column.name}" for column in table.columns]
    ordered = rows.selectExpr(*chosen).sortWithinPartitions(*table.key)
    write = uuid4().hex
    ordered.writeTo(_name(table)).option(f"snapshot-property.{_WRITE}", write).overwrite(_condition(where))
    written = _snapshots(spark, table).where(f"summary['{_WRITE}'] = '{write}'").first()
    return int(written["snapshot_id"])


def rows_added(spark: SparkSession, table: Table, snapshot_id: int) -> int:
    """Rows that a snapshot of the table brought."""
    snapshot = _snapshots(spark, table).where(f"snapshot_id = {snapshot_id}").first()
    return int(snapshot["summary"].get("added-records", 0))


def _snapshots(spark: SparkSession, table: Table) -> DataFrame:
    return spark.table(f"{_name(table)}.snapshots")


def _condition(where: str) -> object:
    from pyspark.sql import functions as F

    return F.expr(where)


def _name(table: Table) -> str:
    return f"{CATALOG}.{table.identifier}"
