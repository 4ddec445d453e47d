"""What a table declaration is: one frozen value that DDL, loads, quality checks, the API and the docs read.

Light on purpose: the standard library only, so that a DAG may import it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its Spark SQL type, and what it holds, with the unit."""

    name: str
    type: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold for the rows of a load before they are published.

    `query` returns the rows that break the rule; in it, `candidate` is the view of the rows to be published. An error
    fails the load when more than `tolerance`, a share of the candidate's rows, break it; a warning is only recorded.
    """

    name: str
    query: str
    severity: Severity = "error"
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Table:
    """One table, written by one DAG, `writer`.

    `partition` holds Iceberg transforms as Spark writes them. `interval` are the columns whose values one load replaces
    as a whole; an interval consists of whole partitions.
    """

    namespace: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    writer: str
    partition: tuple[str, ...] = ()
    interval: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(default=(), repr=False)

    @property
    def identifier(self) -> str:
        """`namespace.name`."""
        return f"{self.namespace}.{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(column.name for column in self.columns)


def not_null(*columns: str, severity: Severity = "error", tolerance: float = 0.0) -> tuple[Rule, ...]:
    """A rule for each column: it has a value."""
    return tuple(
        Rule(f"{name} is known", f"select * from candidate where {name} is null", severity, tolerance)
        for name in columns
    )


def within(column: str, low: float, high: float, *, severity: Severity = "error", tolerance: float = 0.0) -> Rule:
    """A value lies in `low` … `high`, both included; a null is not looked at."""
    query = f"select * from candidate where {column} not between {low} and {high}"
    return Rule(f"{column} lies in {low} to {high}", query, severity, tolerance)


def unique(*columns: str) -> Rule:
    """No two rows agree in all these columns."""
    names = ", ".join(columns)
    query = f"select {names}, count(*) as rows from candidate group by {names} having count(*) > 1"
    return Rule(f"{names} unique", query)


def refers_to(column: str, table: str, key: str, *, severity: Severity = "error", tolerance: float = 0.0) -> Rule:
    """A value is null or stands in `key` of `table`, a name with its namespace."""
    query = f"select * from candidate where {column} is not null and {column} not in (select {key} from {table})"
    return Rule(f"{column} stands in {table}", query, severity, tolerance)
