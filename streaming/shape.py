"""Rows in the shape of an Iceberg table: its columns in its order, null where the source has none (any more)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def shaped(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with exactly the columns of `schema`, cast without loss; columns that `schema` lacks are left out."""
    arrays = []
    for field in schema:
        place = rows.schema.get_field_index(field.name)
        column = pa.nulls(len(rows), field.type) if place < 0 else _fitted(rows.column(place), field.type)
        arrays.append(column)
    return pa.Table.from_arrays(arrays, schema=schema)


def _fitted(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    if not pa.types.is_struct(kind):
        return column.cast(kind)
    whole = column.combine_chunks()
    struct: pa.StructArray = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    parts = []
    for field in kind:
        place = struct.type.get_field_index(field.name)
        # `field(…)` keeps a parent's nulls out of the child, which the mask below puts back.
        parts.append(pa.nulls(len(struct), field.type) if place < 0 else struct.field(place).cast(field.type))
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=struct.is_null())
