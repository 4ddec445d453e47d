"""JSON values as Debezium writes them to Arrow columns: exact, or refused with the row and the reason."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.pseudonyms import UNCHANGED
from catalog.types import ColumnType, Form

_UNCHANGED_BYTES = base64.b64encode(UNCHANGED.encode()).decode()

Placeholders = dict[str, np.ndarray]
PLACEHOLDER_FREE = np.zeros(0, dtype=bool)
"""Returned instead of a mask when a column has no placeholder."""


class BadValuesError(Exception):
    """Values that do not fit their column's type: the reason by row."""

    def __init__(self, column: str, reasons: dict[int, str]) -> None:
        super().__init__(f"{len(reasons)} values of {column} do not fit")
        self.column, self.reasons = column, reasons


def to_arrow(values: list[Any], name: str, kind: ColumnType, sign: str = "") -> tuple[pa.Array, np.ndarray]:
    """One column and the mask of its placeholders (PLACEHOLDER_FREE when none), which are `sign` where it is given.

    Raises BadValuesError.
    """
    unchanged = _unchanged(values, kind, sign)
    if unchanged is not PLACEHOLDER_FREE:
        values = [None if hidden else value for value, hidden in zip(values, unchanged, strict=True)]
    convert = _CONVERT[kind.form]
    try:
        return convert(values, kind), unchanged
    except _CONVERSION_ERRORS:
        pass
    reasons = {}
    for row, value in enumerate(values):
        try:
            convert([value], kind)
        except _CONVERSION_ERRORS as failed:
            shown = repr(value)
            shown = shown if len(shown) <= 80 else shown[:77] + "..."
            reasons[row] = f"column {name}: {shown} does not fit {kind.postgres} ({failed})"
    if not reasons:
        raise AssertionError(f"column {name} converts value by value but not as a whole")
    raise BadValuesError(name, reasons)


_CONVERSION_ERRORS = (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError, binascii.Error)


def _unchanged(values: list[Any], kind: ColumnType, given: str) -> np.ndarray:
    sign: Any = given or UNCHANGED
    if kind.form in (Form.TEXT, Form.NUMERIC):
        pass
    elif kind.form in (Form.BASE64, Form.BITS):
        sign = _UNCHANGED_BYTES
    elif kind.form is Form.LIST and kind.element is not None and kind.element.form is Form.TEXT:
        sign = [UNCHANGED]
    else:
        return PLACEHOLDER_FREE
    if sign not in values:
        return PLACEHOLDER_FREE
    return np.fromiter((value == sign for value in values), dtype=bool, count=len(values))


def _plain(values: list[Any], kind: ColumnType) -> pa.Array:
    return pa.array(values, kind.arrow)


_WHOLE = {int, type(None)}


def _integers(values: list[Any], kind: ColumnType) -> pa.Array:
    if not set(map(type, values)) <= _WHOLE:
        raise ValueError("not a whole number")
    return pa.array(values, kind.arrow)


def _floats(values: list[Any], kind: ColumnType) -> pa.Array:
    classes = set(map(type, values))
    if bool in classes:
        raise ValueError("not a number")
    if str in classes:
        values = [_FLOAT_NAMES[value] if value.__class__ is str else value for value in values]
    wide = pa.array(values, pa.float64())
    if kind.arrow == pa.float64():
        return wide
    narrow = wide.cast(kind.arrow, safe=False)
    if pc.any(pc.and_(pc.is_inf(narrow), pc.is_finite(wide))).as_py():
        raise ValueError("out of range")
    return narrow


class _FloatNames(dict[str, float]):
    def __missing__(self, name: str) -> float:
        raise ValueError(f"{name!r} is not a number")


_FLOAT_NAMES = _FloatNames({"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")})


def _decimals(values: list[Any], kind: ColumnType) -> pa.Array:
    return pa.array(values, pa.string()).cast(kind.arrow)


_NUMBER_NAMES = {"NAN": "NaN", "POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _numerics(values: list[Any], kind: ColumnType) -> pa.Array:
    """Postgres' own text, which has no exponent; Debezium's is Java's, with zeros behind a negative scale."""
    whole = ",-" in kind.postgres
    return pa.array([None if value is None else _numeric(value, whole) for value in values], kind.arrow)


def _numeric(text: str, whole: bool) -> str:
    if text in _NUMBER_NAMES:
        return _NUMBER_NAMES[text]
    if not _NUMBER.fullmatch(text):
        try:
            text = format(Decimal(text), "f")
        except InvalidOperation as wrong:
            raise ValueError("not a number") from wrong
    if not whole:
        return text
    digits, _, fraction = text.partition(".")
    if fraction.strip("0"):
        raise ValueError("not a whole number")
    return digits


_INTERVAL = re.compile(r"P(?:-?\d+Y)?(?:-?\d+M)?(?:-?\d+D)?(?:T(?:-?\d+H)?(?:-?\d+M)?(?:-?\d+(?:\.\d+)?S)?)?")


def _intervals(values: list[Any], kind: ColumnType) -> pa.Array:
    """Postgres' own text in the style iso_8601, which leaves out the parts that are 0."""
    return pa.array([None if value is None else _interval(value) for value in values], kind.arrow)


def _interval(text: str) -> str:
    if not _INTERVAL.fullmatch(text):
        raise ValueError("not an interval")
    parts = re.sub(r"(?<=[A-Z])-?0(?:\.0+)?[YMDHS]", "", text)
    return {"P": "PT0S", "PT": "PT0S"}.get(parts, parts.removesuffix("T"))


def _bits(values: list[Any], kind: ColumnType) -> pa.Array:
    """Zeros and ones. Debezium writes one bit as a boolean, more as bytes, the lowest first."""
    return pa.array([None if value is None else _bit_text(value, kind) for value in values], kind.arrow)


def _bit_text(value: Any, kind: ColumnType) -> str:
    length = int(kind.postgres.removeprefix("bit(").removesuffix(")"))
    number = int(value) if value.__class__ is bool else int.from_bytes(base64.b64decode(value, validate=True), "little")
    if number >= 1 << length:
        raise ValueError("too many bits")
    return format(number, f"0{length}b")


def _suffix_free(values: list[Any]) -> list[str | None]:
    """Without the `Z` that Debezium's ISO texts carry for types that have no zone."""
    return [None if value is None else value.removesuffix("Z") for value in values]


def _dates(values: list[Any], kind: ColumnType) -> pa.Array:
    return pa.array(_suffix_free(values), pa.string()).cast(kind.arrow)


def _times(values: list[Any], kind: ColumnType) -> pa.Array:
    """Postgres' own text: no trailing zeros in the fraction."""
    texts = _suffix_free(values)
    return pa.array([t.rstrip("0").rstrip(".") if t and "." in t else t for t in texts], kind.arrow)


def _timestamps(values: list[Any], kind: ColumnType) -> pa.Array:
    return pa.array(_suffix_free(values), pa.string()).cast(kind.arrow)


def _instants(values: list[Any], kind: ColumnType) -> pa.Array:
    return pa.array(values, pa.string()).cast(kind.arrow)


def _bytes(values: list[Any], kind: ColumnType) -> pa.Array:
    return pa.array([None if v is None else base64.b64decode(v, validate=True) for v in values], kind.arrow)


def _lists(values: list[Any], kind: ColumnType) -> pa.Array:
    if kind.element is None:
        raise TypeError("a list without an element type")
    if any(value.__class__ is not list and value is not None for value in values):
        raise ValueError("not an array")
    flat = [item for value in values if value is not None for item in value]
    if any(item.__class__ is list for item in flat):
        raise ValueError("an array of more than one dimension")
    elements = _CONVERT[kind.element.form](flat, kind.element)
    lengths = np.fromiter((0 if value is None else len(value) for value in values), dtype=np.int32, count=len(values))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(offsets, elements, type=kind.arrow, mask=missing)


_CONVERT: dict[Form, Callable[[list[Any], ColumnType], pa.Array]] = {
    Form.BOOLEAN: _plain,
    Form.INTEGER: _integers,
    Form.FLOAT: _floats,
    Form.DECIMAL: _decimals,
    Form.TEXT: _plain,
    Form.DATE: _dates,
    Form.TIME: _times,
    Form.TIMESTAMP: _timestamps,
    Form.INSTANT: _instants,
    Form.BASE64: _bytes,
    Form.NUMERIC: _numerics,
    Form.INTERVAL: _intervals,
    Form.BITS: _bits,
    Form.LIST: _lists,
}
