"""Questions that the API asks the lake: each is one .sql file over named tables, and the order of its rows.

Their SQL is DuckDB's, as far as another engine's can be made of it (`by_trino`; a test translates every one).

A question's SQL reads views; each view is one table at one snapshot. A table that is not there, or has no rows, is an
empty view of the declared shape, so that a question has an answer, and a reason, from the first minute on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.tables import TABLES

FILE, ROW = "_lake_file", "_lake_row"
_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True)
class Order:
    """A column that rows are ordered by; nulls come last. `kind` is its type where a value's own does not tell it."""

    column: str
    descending: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Question:
    """`views` maps a view of the SQL to its table, `needs` are those without which there is nothing to answer.

    `order` makes a total order of the rows: its columns together are unique. `hidden` columns are not given; FILE and
    ROW, where a row lies in the store, are among them for a question that reads a table as it is.
    """

    name: str
    sql: str
    views: Mapping[str, str]
    needs: tuple[str, ...]
    order: tuple[Order, ...]
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A question with everything that its answer depends on; equal ones have equal answers while tables stand still.

    `pins` are the snapshots to read instead of the present ones, `moment` the past as `as_of` writes it, `after` the
    order values of the row that the page begins behind.
    """

    question: Question
    parameters: Mapping[str, Any]
    limit: int
    pins: Mapping[str, int]
    moment: str | None = None
    after: Sequence[Any] | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Hashable, for the memory of answers."""
        after = None if self.after is None else tuple(map(repr, self.after))
        parameters = tuple(sorted((name, repr(value)) for name, value in self.parameters.items()))
        pins = tuple(sorted(self.pins.items()))
        return self.question.name, self.question.sql, parameters, self.limit, pins, self.moment, after


def question(name: str, views: Mapping[str, str], order: Sequence[Order], *, optional: Sequence[str] = ()) -> Question:
    """The question whose SQL is the file of that name."""
    needs = tuple(view for view in views if view not in optional)
    return Question(name, sql_of(name), dict(views), needs, tuple(order))


def sql_of(name: str) -> str:
    """The SQL of that name."""
    return (_SQL / f"{name}.sql").read_text()


_SPARK_NAMES = {"string": "varchar", "binary": "blob", "timestamp": "timestamptz", "timestamp_ntz": "timestamp"}
UNDECLARED = {
    # the columns that questions read of tables that others than declarations shape
    "taxi_cdc.trips": {
        "trip_id": "bigint", "vendor_id": "int", "pickup_at": "timestamp", "dropoff_at": "timestamp",
        "passenger_count": "int", "trip_distance": "decimal(8,2)", "pickup_location_id": "int",
        "dropoff_location_id": "int", "payment_type": "int", "fare_amount": "decimal(10,2)",
        "tip_amount": "decimal(10,2)", "tolls_amount": "decimal(10,2)", "total_amount": "decimal(10,2)",
        "updated_at": "timestamp",
    },
}  # fmt: skip


def empty_view(table: str, columns: Sequence[str] = ()) -> str:
    """A query that has the table's shape, or untyped `columns` where none is declared, and no rows; DuckDB's SQL."""
    declared = {each.identifier: {c.name: c.type for c in each.columns} for each in TABLES}
    shape = declared.get(table) or UNDECLARED.get(table) or dict.fromkeys(columns or ["nothing"], "string")
    nulls = ", ".join(f"cast(null as {_duckdb_type(kind)}) as {quoted(name)}" for name, kind in shape.items())
    return f"select {nulls} where false"


def quoted(name: str) -> str:
    """An identifier in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def _duckdb_type(spark: str) -> str:
    if spark.startswith("array<"):
        return f"{_duckdb_type(spark[6:-1])}[]"
    return _SPARK_NAMES.get(spark, spark)
