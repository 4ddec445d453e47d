"""Compares two Arrow tables by key, value for value: null equals null, NaN equals NaN, nothing is rounded."""

from __future__ import annotations

import datetime
import decimal
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.verification.report import Difference

_LAKE_ROW, _SOURCE_ROW = "(row in lake)", "(row in source)"


@dataclass(frozen=True)
class Comparison:
    """`differing` counts all differing rows; `differences` shows the first of them."""

    source_rows: int
    differing: int
    differences: tuple[Difference, ...]


def compare_rows(lake: pa.Table, source: pa.Table, key: tuple[str, ...], limit: int) -> Comparison:
    """Compare tables of one schema. Rows without a counterpart of the same key are `missing` or `extra`."""
    lake, source = _sorted(lake, key), _sorted(source, key)
    found: list[Difference] = []
    differing = 0
    repeated = _repeats(lake, key)
    if repeated.size:
        differing += repeated.size
        found += _without_pair(lake, repeated, key, "duplicate", limit)
        lake = lake.filter(pa.array(np.isin(np.arange(lake.num_rows), repeated, invert=True)))
    if not _same_keys(lake, source, key):
        pairs, only_lake, only_source = _paired(lake, source, key)
        differing += only_lake.size + only_source.size
        found += _without_pair(source, only_source, key, "missing", limit)
        found += _without_pair(lake, only_lake, key, "extra", limit)
        rows = source.num_rows
        lake, source = lake.take(pairs[0]), source.take(pairs[1])
    else:
        rows = source.num_rows
    columns = {name: _differs(lake[name], source[name]) for name in source.column_names if name not in key}
    changed = {name: mask for name, mask in columns.items() if mask is not None}
    if changed:
        places = np.flatnonzero(np.logical_or.reduce(list(changed.values())))
        differing += places.size
        found += [_changed(lake, source, int(place), key, changed) for place in places[:limit]]
    return Comparison(rows, int(differing), tuple(found[:limit]))


def shown(value: Any) -> Any:
    """A value as JSON can carry it; decimals and times keep every digit as text."""
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return value


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in key])
    return table.take(order).combine_chunks()


def _repeats(table: pa.Table, key: tuple[str, ...]) -> np.ndarray:
    """Places of rows whose key is that of the row before; the table is sorted."""
    if table.num_rows < 2:
        return np.empty(0, np.int64)
    same = np.ones(table.num_rows - 1, bool)
    for name in key:
        column = table[name]
        same &= ~_mask(column.slice(1), column.slice(0, table.num_rows - 1))
    return np.flatnonzero(same) + 1


def _same_keys(lake: pa.Table, source: pa.Table, key: tuple[str, ...]) -> bool:
    return lake.num_rows == source.num_rows and all(lake[name].equals(source[name]) for name in key)


def _paired(
    lake: pa.Table, source: pa.Table, key: tuple[str, ...]
) -> tuple[tuple[pa.Array, pa.Array], np.ndarray, np.ndarray]:
    """Places of rows with equal keys in both, in key order, and of those with no counterpart."""
    names = list(key)
    left = lake.select(names).append_column(_LAKE_ROW, pa.array(np.arange(lake.num_rows)))
    right = source.select(names).append_column(_SOURCE_ROW, pa.array(np.arange(source.num_rows)))
    joined = left.join(right, keys=names, join_type="inner").sort_by(_SOURCE_ROW)
    in_lake, in_source = joined[_LAKE_ROW].combine_chunks(), joined[_SOURCE_ROW].combine_chunks()
    only_lake = np.setdiff1d(np.arange(lake.num_rows), in_lake.to_numpy(zero_copy_only=False))
    only_source = np.setdiff1d(np.arange(source.num_rows), in_source.to_numpy(zero_copy_only=False))
    return (in_lake, in_source), only_lake, only_source


def _differs(lake: pa.ChunkedArray, source: pa.ChunkedArray) -> np.ndarray | None:
    """Where two columns differ; None when nowhere."""
    if not pa.types.is_floating(source.type) and lake.equals(source):
        return None
    mask = _mask(lake, source)
    return mask if mask.any() else None


def _mask(lake: pa.ChunkedArray, source: pa.ChunkedArray) -> np.ndarray:
    left, right = _flat(lake), _flat(source)
    if pa.types.is_nested(left.type):
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return np.array([repr(a) != repr(b) for a, b in pairs], bool)
    both_null = pc.and_(pc.is_null(left), pc.is_null(right))
    equal = pc.equal(left, right)
    if pa.types.is_floating(left.type):
        bits = pa.int64() if left.type == pa.float64() else pa.int32()
        both_nan = pc.and_(pc.is_nan(left), pc.is_nan(right))
        equal = pc.or_(pc.equal(left.view(bits), right.view(bits)), both_nan)
    return ~pc.coalesce(equal, both_null).to_numpy(zero_copy_only=False)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        return combined.chunk(0) if combined.num_chunks else pa.array([], combined.type)
    return combined


def _without_pair(table: pa.Table, places: np.ndarray, key: tuple[str, ...], kind: str, limit: int) -> list[Difference]:
    rows = table.take(pa.array(places[:limit])).to_pylist()
    side = 1 if kind == "missing" else 0
    return [
        Difference(
            {name: shown(row[name]) for name in key},
            kind,
            {name: _one_sided(shown(value), side) for name, value in row.items() if name not in key},
        )
        for row in rows
    ]


def _one_sided(value: Any, side: int) -> tuple[Any, Any]:
    return (None, value) if side else (value, None)


def _changed(
    lake: pa.Table, source: pa.Table, place: int, key: tuple[str, ...], changed: dict[str, np.ndarray]
) -> Difference:
    return Difference(
        {name: shown(source[name][place].as_py()) for name in key},
        "changed",
        {
            name: (shown(lake[name][place].as_py()), shown(source[name][place].as_py()))
            for name, mask in changed.items()
            if mask[place]
        },
    )
