"""Checked casts of a file's values, whatever number type the file holds them in. Pure.

A value that does not fit is told, never made null in silence: a fraction where a whole number belongs, an amount too
large for its decimal, a text that is no number.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FIRST, _LAST = (np.datetime64(time, "us").astype(float) for time in ("0001-01-01", "9999-12-31T23:59:59"))
"""Microseconds since 1970 that every engine reads as a date."""
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}
SMALLEST_ROUNDING = 1e-6
"""A double is this close to the cents that it means; what is farther away had more than two decimals."""


def can_hold(held: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of type `held` can be read as `wanted`. An instant is not a local time, nor a truth a number."""
    held = held.value_type if pa.types.is_dictionary(held) else held
    if pa.types.is_null(held) or _is_text(held):
        return True
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(held) and held.tz is None
    number = pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_decimal(held)
    return bool(number)


def checked(values: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """`values` as int32, decimal, local time or text, null where they do not fit; and where that is, as a mask."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), wanted), np.zeros(len(values), bool)
    if pa.types.is_string(wanted):
        return values.cast(wanted), np.zeros(len(values), bool)
    if pa.types.is_timestamp(wanted):
        return _local_times(values, wanted)
    numbers, absent, unfit = _doubles(values)
    if pa.types.is_decimal(wanted):
        fits = np.abs(numbers) < 10.0 ** (wanted.precision - wanted.scale) - 0.005
        return _masked(np.where(fits, numbers, 0), ~fits, wanted), unfit | ~(fits | absent)
    limits = np.iinfo(wanted.to_pandas_dtype())
    fits = (numbers == np.floor(numbers)) & (numbers >= limits.min) & (numbers <= limits.max)
    return _masked(np.where(fits, numbers, 0), ~fits, wanted), unfit | ~(fits | absent)


def rounded(values: pa.Array) -> np.ndarray:
    """Where an amount has more than two decimals, as a mask."""
    if pa.types.is_null(values.type):
        return np.zeros(len(values), bool)
    numbers, _, _ = _doubles(values)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(numbers - np.round(numbers, 2)) > SMALLEST_ROUNDING


def _masked(numbers: np.ndarray, absent: np.ndarray, wanted: pa.DataType) -> pa.Array:
    return pa.array(numbers, pa.float64(), mask=absent).cast(wanted)


def _doubles(values: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers, NaN where there is none; where the value is null; where it is a text that is no number."""
    absent = np.asarray(values.is_null())
    if not _is_text(values.type):
        return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), absent, np.zeros(len(values), bool)
    numbers = np.array([_number(text) for text in values.to_pylist()], float)
    return numbers, absent, np.isnan(numbers) & ~absent


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return np.nan


def _local_times(values: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    absent = np.asarray(values.is_null())
    if _is_text(values.type):
        times = pa.array([_local_time(text) for text in values.to_pylist()], wanted)
        return times, np.asarray(times.is_null()) & ~absent
    counts = values.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(float) * _MICROSECONDS[values.type.unit]
    unfit = ~absent & ((counts < _FIRST) | (counts > _LAST))
    return pc.if_else(pa.array(~unfit), values, None).cast(wanted, safe=False), unfit


def _local_time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo is None else None


def _is_text(held: pa.DataType) -> bool:
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held))
