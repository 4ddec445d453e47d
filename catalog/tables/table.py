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
    Where a row can be judged by itself, `breaks` is the condition that `query` selects by, so that all such rules are
    counted in one pass. A rule that `needs` another table is left out as long as that is not there.
    """

    name: str
    query: str
    severity: Severity = "error"
    tolerance: float = 0.0
    needs: str = ""
    breaks: str = ""


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


def no_row(name: str, breaks: str, *, severity: Severity = "error", tolerance: float = 0.0) -> Rule:
    """No row meets the condition `breaks`."""
    return Rule(name, f"select * from candidate where {breaks}", severity, tolerance, breaks=breaks)


def not_null(*columns: str, severity: Severity = "error", tolerance: float = 0.0) -> tuple[Rule, ...]:
    """A rule for each column: it has a value."""
    return tuple(
        no_row(f"{name} is known", f"{name} is null", severity=severity, tolerance=tolerance) for name in columns
    )


def within(column: str, low: float, high: float, *, severity: Severity = "error", tolerance: float = 0.0) -> Rule:
    """A value lies in `low` … `high`, both included; a null is not looked at."""
    breaks = f"{column} not between {low} and {high}"
    return no_row(f"{column} lies in {low} to {high}", breaks, severity=severity, tolerance=tolerance)


def unique(*columns: str, severity: Severity = "error", tolerance: float = 0.0) -> Rule:
    """No two rows agree in all these columns; rows with a null in one of them are not looked at."""
    names, known = ", ".join(columns), " and ".join(f"{name} is not null" for name in columns)
    query = f"select {names}, count(*) as rows from candidate where {known} group by {names} having count(*) > 1"
    return Rule(f"{names} unique", query, severity, tolerance)


def refers_to(column: str, table: str, key: str, *, severity: Severity = "error", tolerance: float = 0.0) -> Rule:
    """A value is null or stands in `key` of `table`, a name with its namespace; looked at once that table is there."""
    query = f"select * from candidate where {column} is not null and {column} not in (select {key} from {table})"
    return Rule(f"{column} stands in {table}", query, severity, tolerance, table)


def near_median(column: str, deviations: float, *, tolerance: float) -> Rule:
    """A value is no farther from the median than so many median absolute deviations: a warning.

    Times 1.4826 such a deviation is the standard deviation of a normal distribution, but no outlier moves it:
    https://en.wikipedia.org/wiki/Median_absolute_deviation
    """
    query = f"""
        with middle as (select median({column}) as median from candidate),
        spread as (
            select 1.4826 * median(abs({column} - middle.median)) as deviation from candidate cross join middle
        )
        select candidate.* from candidate cross join middle cross join spread
        where abs({column} - middle.median) > {deviations} * spread.deviation
    """
    return Rule(f"{column} within {deviations:g} deviations of its median", query, "warning", tolerance)
