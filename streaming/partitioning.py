"""Rows by the partition of an Iceberg table that they belong to; the transforms are pyiceberg's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.types import DateType

from catalog.errors import TableStoppedError

NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""What Iceberg's API takes for a null among partition values, which are texts."""


def partitions(
    rows: pa.Table, spec: PartitionSpec, schema: Schema, table: str
) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """By partition its values and rows, which keep their order. Raises TableStoppedError."""
    codes = np.zeros(len(rows), dtype=np.int64)
    texts: list[list[str]] = []
    for field in spec.fields:
        source = schema.find_field(field.source_id)
        column = rows[source.name].combine_chunks().dictionary_encode("encode")
        transform = field.transform.transform(source.field_type)
        is_date = isinstance(field.transform.result_type(source.field_type), DateType)
        told = [_text(transform(value), is_date, table) for value in _internal(column.dictionary).to_pylist()]
        known = {text: place for place, text in enumerate(dict.fromkeys(told))}
        places = np.array([known[text] for text in told], dtype=np.int64)
        codes = codes * len(known) + places[column.indices.to_numpy(zero_copy_only=False)]
        texts.append(list(known))
    for code in np.unique(codes).tolist():
        rest, values = code, []
        for known_texts in reversed(texts):
            rest, place = divmod(rest, len(known_texts))
            values.append(known_texts[place])
        yield tuple(reversed(values)), rows.filter(pa.array(codes == code))


def _internal(values: pa.Array) -> pa.Array:
    """Values as Iceberg's transforms take them: times as numbers."""
    if pa.types.is_date32(values.type):
        return values.cast(pa.int32())
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.int64())
    return values


def _text(value: Any, is_date: bool, table: str) -> str:
    if value is None:
        return NOTHING
    if value == NOTHING:
        raise TableStoppedError(table, f"the text {NOTHING} cannot be told from null as a partition")
    if value.__class__ is bool:
        return str(value).lower()
    return date.fromordinal(value + date(1970, 1, 1).toordinal()).isoformat() if is_date else str(value)
