"""Declared tables as Spark SQL statements."""

from __future__ import annotations

from collections.abc import Mapping

from catalog.settings import CATALOG
from catalog.tables.table import Column, Table


def create_statement(table: Table, properties: Mapping[str, str]) -> str:
    """The statement that creates a declared table if it is not there."""
    columns = ",\n  ".join(column_definition(column, required=column.required) for column in table.columns)
    partition = f"\npartitioned by ({', '.join(table.partition)})" if table.partition else ""
    settings = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
    return (
        f"create table if not exists {CATALOG}.{table.identifier} (\n  {columns}\n) using iceberg{partition}\n"
        f"comment '{_quoted(table.description)}'\ntblproperties ({settings})"
    )


def column_definition(column: Column, *, required: bool = False) -> str:
    """A column with its type and comment."""
    comment = f" comment '{_quoted(column.description)}'" if column.description else ""
    return f"`{column.name}` {column.type}{' not null' if required else ''}{comment}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
