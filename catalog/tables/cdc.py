"""Tables that follow the source: mirror and changelog (shaped by the source table) and quarantine (fixed).

The changelog holds every change event once: `op` is c (insert), u (update), d (delete), r (initial copy) or t
(truncate); `previous_commit_lsn` orders transactions, `lsn` changes; (`topic_partition`, `topic_offset`) is where the
event stands in Kafka, null for rows that a resync copied straight from Postgres (a truncate where it found none);
`generation` counts complete copies, and only the rows of the highest one describe the mirror.
"""

from __future__ import annotations

import pyarrow as pa

from catalog.retention import AGE_PROPERTY
from catalog.source import NAMESPACE, SourceTable

QUARANTINE = f"{NAMESPACE}.quarantine"
POSITION_PROPERTY = "lake.position"
"""Summary entry and table property that hold a table's position; the property also names its snapshot."""
SOURCE_PROPERTY = "lake.source"
"""Table property with the source table's persisted schema."""
LEFT_PROPERTY = "lake.left_at"
"""Table property of a mirror that `lake remove` took out: when that was. The next copy takes it away."""
NEXT_GENERATION = "next_generation"
"""Branch on which an initial copy or a resync is built before it replaces `main`."""

INSTANT = pa.timestamp("us", "UTC")

_EVENT_FIELDS = [
    pa.field("op", pa.string(), nullable=False),
    pa.field("previous_commit_lsn", pa.int64()),
    pa.field("lsn", pa.int64()),
    pa.field("transaction_id", pa.int64()),
    pa.field("committed_at", INSTANT, nullable=False),
    pa.field("topic_partition", pa.int32()),
    pa.field("topic_offset", pa.int64()),
    pa.field("generation", pa.int32(), nullable=False),
]

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("topic_partition", pa.int32(), nullable=False),
        pa.field("topic_offset", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("key_readable", pa.bool_(), nullable=False),
        pa.field("at", INSTANT, nullable=False),
    ]
)


def mirror_schema(source: SourceTable) -> pa.Schema:
    """The source's columns; only key columns are required, so that a dropped column can stay as null."""
    return source.arrow_schema


def changelog_schema(source: SourceTable) -> pa.Schema:
    """Event fields, then the structs `key`, `before` and `after`, and the columns that an update left out of `after`.

    `unchanged` names columns whose stored-out-of-line (TOAST) value an update did not touch: without full identity
    their null in `after` says nothing. It is null elsewhere. A table whose rows are only added has no `key`.
    """
    image = pa.struct([field.with_nullable(True) for field in source.arrow_schema])
    key = pa.struct([source.arrow_schema.field(name).with_nullable(True) for name in source.key])
    keys = [pa.field("key", key)] if source.key else []
    images = [pa.field("before", image), pa.field("after", image)]
    return pa.schema([*_EVENT_FIELDS, *keys, *images, pa.field("unchanged", pa.list_(pa.string()))])


def spark_type(arrow: pa.DataType) -> str:
    """The Spark SQL type of an Arrow type that the lake uses."""
    if pa.types.is_struct(arrow):
        return "struct<" + ",".join(f"`{f.name}`:{spark_type(f.type)}" for f in arrow) + ">"
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"array<{spark_type(arrow.value_type)}>"
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_timestamp(arrow):
        return "timestamp" if arrow.tz else "timestamp_ntz"
    return {
        "bool": "boolean",
        "int32": "int",
        "int64": "bigint",
        "float": "float",
        "double": "double",
        "string": "string",
        "large_string": "string",
        "binary": "binary",
        "large_binary": "binary",
        "date32[day]": "date",
    }[str(arrow)]


def create_table(identifier: str, schema: pa.Schema, *, partition: str = "", properties: dict[str, str]) -> str:
    """The `CREATE TABLE IF NOT EXISTS` statement of a table, `identifier` with the catalog's name."""
    columns = ",\n  ".join(f"`{f.name}` {spark_type(f.type)}{'' if f.nullable else ' NOT NULL'}" for f in schema)
    partitioned = f"\nPARTITIONED BY ({partition})" if partition else ""
    settings = ", ".join(f"'{name}' = '{_quoted(value)}'" for name, value in sorted(properties.items()))
    return (
        f"CREATE TABLE IF NOT EXISTS {identifier} (\n  {columns}\n) USING iceberg{partitioned}\n"
        f"TBLPROPERTIES ({settings})"
    )


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


TABLE_PROPERTIES = {
    "format-version": "3",
    "write.parquet.compression-codec": "zstd",
    "write.delete.mode": "merge-on-read",
    "write.update.mode": "merge-on-read",
    "write.merge.mode": "merge-on-read",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    "commit.manifest.min-count-to-merge": "20",
    "commit.retry.num-retries": "0",
    **AGE_PROPERTY,
}
"""Of every table that the stream writes. No retries: a refused commit is planned again from the new head."""
