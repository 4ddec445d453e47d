"""Source tables of every kind of key, and the values of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from catalog.source import SourceColumn, SourceTable

Row = dict[str, Any]
FRESH, SPARE = 6, 7
"""Numbers of keys that histories use for one purpose only; theirs are 0 to 5."""


def _column(name: str, number: int, postgres: str) -> SourceColumn:
    return SourceColumn(name, number, postgres, False, False)


@dataclass(frozen=True)
class Kind:
    """A table's shape: the values of key number 0 to 7, one tuple each."""

    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...]
    keys: tuple[tuple[Any, ...], ...]

    def table(self, full_identity: bool) -> SourceTable:
        return SourceTable("public", "things", self.columns, self.key, full_identity)

    def row(self, number: int, value: int) -> Row:
        """The row of a key in one of several variants."""
        row = dict(zip(self.key, self.keys[number], strict=True))
        for column in self.columns:
            row.setdefault(column.name, _value(column, value))
        return {column.name: row[column.name] for column in self.columns}


def _value(column: SourceColumn, value: int) -> Any:
    if value == 0:
        return None
    if column.postgres == "text":
        return "out of line " * value
    return Decimal(value) / 4 if column.postgres.startswith("numeric") else value


_VALUES = (_column("n", 7, "integer"), _column("big", 8, "text"), _column("amount", 9, "numeric(6,2)"))
_WORDS = (
    ("ab", "c"),
    ("a", "bc"),
    ("", "abc"),
    ("abc", ""),
    ("1:a", "b"),
    ("1", ":ab"),
    ("é", "ü"),
    ("\U0001f600", "z"),
)

NUMBER = Kind(
    (_column("id", 1, "bigint"), *_VALUES), ("id",), ((-(2**63),), (-1,), (0,), (1,), (2**40,), (7,), (8,), (9,))
)
WORDS = Kind(
    (_column("n", 1, "integer"), _column("b", 2, "text"), _column("big", 3, "text"), _column("a", 4, "text")),
    ("a", "b"),
    _WORDS,
)
UUID = Kind(
    (_column("id", 1, "uuid"), *_VALUES),
    ("id",),
    tuple((f"00000000-0000-4000-8000-00000000000{place}",) for place in range(8)),
)
MIXED = Kind(
    (_column("day", 1, "integer"), _column("big", 2, "text"), _column("line", 3, "text")),
    ("day", "line"),
    tuple((place // 3, f"line {place % 3}") for place in range(8)),
)
ONLY = Kind((_column("id", 1, "integer"),), ("id",), tuple((place - 3,) for place in range(8)))
KINDS = {"number": NUMBER, "words": WORDS, "uuid": UUID, "mixed": MIXED, "only": ONLY}
