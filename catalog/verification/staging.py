"""The pinned mirror in DuckDB: read from the lake once and staged on disk, in the form in which rows are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as at

from catalog.readers import duckdb_connection
from catalog.settings import CATALOG, Settings
from catalog.tables.cdc import QUARANTINE
from catalog.verification.coverage import Pinned
from catalog.verification.source_rows import KeyRange, comparable_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.table import Table

STAGED = "scratch.mirror"


@contextmanager
def staged_mirror(
    settings: Settings, pinned: Pinned, *, memory: str = "2GB", threads: int | None = None
) -> Iterator[DuckDBPyConnection]:
    """A DuckDB that holds the pinned mirror as `scratch.mirror` on disk, and nothing of it after the block."""
    with tempfile.TemporaryDirectory(prefix="lake-verify-", dir=_scratch_folder(settings)) as folder:
        connection = duckdb_connection(settings, threads=threads)
        try:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute(f"SET temp_directory = '{folder}/spill'")
            connection.execute(f"ATTACH '{folder}/scratch.duckdb' AS scratch")
            columns = ", ".join(lake_columns(pinned, pinned.mirror, ""))
            connection.execute(
                f"CREATE TABLE {STAGED} AS SELECT {columns} FROM"
                f" {at_snapshot(pinned.source.mirror, pinned.mirror_snapshot)}"
            )
            yield connection
        finally:
            connection.close()


def read_staged(connection: DuckDBPyConnection, pinned: Pinned, cut: KeyRange) -> pa.Table:
    """The staged rows of one key range, in the schema in which both sides are compared."""
    schema = comparable_schema(pinned.source)
    first = quoted(pinned.source.key[0])
    literal = _duckdb_type(schema.field(pinned.source.key[0]).type)
    bounds = [
        (f"{first} {sign} CAST(? AS {literal})", bound)
        for sign, bound in ((">=", cut.low), ("<", cut.high))
        if bound is not None
    ]
    where = " WHERE " + " AND ".join(condition for condition, _ in bounds) if bounds else ""
    columns = ", ".join(quoted(name) for name in schema.names)
    found = connection.execute(f"SELECT {columns} FROM {STAGED}{where}", [bound for _, bound in bounds])
    return found.to_arrow_table().cast(schema)


def at_snapshot(table: str, snapshot: int | None) -> str:
    """A lake table as DuckDB reads it at a snapshot; one without any snapshot is empty."""
    version = "" if snapshot is None else f" AT (VERSION => {snapshot})"
    return f"{CATALOG}.{table}{version}"


def quarantined_records(connection: DuckDBPyConnection, topic: str) -> tuple[int, int]:
    """How many records of a topic are set aside, and of how many the key is unknown."""
    import duckdb

    counted = f"SELECT count(*), count(*) FILTER (NOT key_readable) FROM {CATALOG}.{QUARANTINE} WHERE topic = ?"
    try:
        row = connection.execute(counted, [topic]).fetchone()
    except duckdb.CatalogException:
        return 0, 0
    return (int(row[0]), int(row[1])) if row else (0, 0)


def lake_columns(pinned: Pinned, table: Table, prefix: str) -> list[str]:
    """The source's columns from a lake table, each named."""
    return [f"{value} AS {quoted(name)}" for name, value in lake_values(pinned, table, prefix).items()]


def lake_values(pinned: Pinned, table: Table, prefix: str) -> dict[str, str]:
    """By column, its value in a lake table: null where it does not have it yet, bytes as hexadecimal text."""
    known = _known_columns(table, prefix)
    schema = comparable_schema(pinned.source)
    expressions = {}
    for column in pinned.source.columns:
        name = quoted(column.name)
        value = f"{prefix}{name}" if column.name in known else "NULL"
        if at.is_binary(column.type.arrow) and column.name in known:
            value = f"lower(hex({value}))"
        expressions[column.name] = f"CAST({value} AS {_duckdb_type(schema.field(column.name).type)})"
    return expressions


def _known_columns(table: Table, prefix: str) -> set[str]:
    schema = table.schema()
    if not prefix:
        return {field.name for field in schema.fields}
    image = schema.find_field(prefix.rstrip(".").split(".")[-1]).field_type
    return {field.name for field in image.fields}


def _duckdb_type(arrow: pa.DataType) -> str:
    if at.is_decimal(arrow):
        return f"DECIMAL({arrow.precision}, {arrow.scale})"
    if at.is_timestamp(arrow):
        return "TIMESTAMPTZ" if arrow.tz else "TIMESTAMP"
    if at.is_list(arrow):
        return f"{_duckdb_type(arrow.value_type)}[]"
    return {
        "bool": "BOOLEAN",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float": "FLOAT",
        "double": "DOUBLE",
        "string": "VARCHAR",
        "binary": "BLOB",
        "date32[day]": "DATE",
    }[str(arrow)]


def _scratch_folder(settings: Settings) -> Path:
    folder = settings.state_dir / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def quoted(name: str) -> str:
    """An identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'
