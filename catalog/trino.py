"""Trino as a reader: a connection to it, and its rows as Arrow, with Trino's types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pyarrow as pa

from catalog.settings import CATALOG, Settings
from catalog.source import NAMESPACE

if TYPE_CHECKING:
    from sqlglot import exp
    from trino.dbapi import Connection

USER = "lake"
"""Trino asks for a name and here for nothing else; it listens on loopback."""


def trino_connection(settings: Settings, query_seconds: float | None = None) -> Connection:
    """A connection in UTC to the lake, whose `taxi_cdc.trips` needs no catalog's name. Nothing is asked yet.

    Trino ends a query that takes longer than `query_seconds`, waiting included.
    """
    from trino.dbapi import connect

    address = urlsplit(settings.trino)
    return connect(
        host=address.hostname,
        port=address.port,
        http_scheme=address.scheme,
        user=USER,
        source="lake",
        catalog=CATALOG,
        schema=NAMESPACE,
        timezone="UTC",
        session_properties={"query_max_run_time": f"{query_seconds}s"} if query_seconds else None,
    )


def absence(settings: Settings) -> str:
    """Why Trino cannot be asked; empty when it can."""
    try:
        report = httpx.get(f"{settings.trino}/v1/info", timeout=5, trust_env=False).raise_for_status().json()
    except httpx.HTTPError:
        return f"nothing answers at {settings.trino}"
    return f"it is starting at {settings.trino}" if report["starting"] else ""


def fetch(connection: Connection, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """The rows of one statement, each `?` in it bound.

    Raises trino.exceptions.Error for a refused one and for a server that is away.
    """
    from sqlglot.expressions import DataType

    cursor = connection.cursor()
    cursor.execute(query, list(parameters))
    rows = cursor.fetchall()
    described = cursor.description or []
    types = [arrow_type(DataType.build(column.type_code, dialect="trino")) for column in described]
    columns = [arrow_array([row[place] for row in rows], kind) for place, kind in enumerate(types)]
    return pa.Table.from_arrays(columns, names=[column.name for column in described])


def arrow_type(of: exp.DataType) -> pa.DataType:
    """The Arrow type of a Trino type; text for what Arrow has no type for, such as json."""
    kind, inner = of.this.name if hasattr(of.this, "name") else "", of.expressions
    if kind == "DECIMAL":
        return pa.decimal128(*(int(parameter.name) for parameter in inner))
    if kind == "ARRAY":
        return pa.list_(arrow_type(inner[0]))
    if kind == "MAP":
        return pa.map_(arrow_type(inner[0]), arrow_type(inner[1]))
    if kind == "STRUCT":
        return pa.struct([pa.field(field.name, arrow_type(field.args["kind"])) for field in inner])
    return _SIMPLE.get(kind, pa.string())


_SIMPLE = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    "VARBINARY": pa.binary(),
    "UNKNOWN": pa.null(),
}


def arrow_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as Trino's client gives them: rows are named tuples, UUIDs are objects."""
    return pa.array([_plain(value, kind) for value in values], kind)


def _plain(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: _plain(item, field.type) for field, item in zip(kind, value, strict=True)}
    if pa.types.is_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    if pa.types.is_map(kind):
        return [(_plain(name, kind.key_type), _plain(item, kind.item_type)) for name, item in value.items()]
    return str(value) if isinstance(value, UUID) else value
