"""Two points of one table compared: rows that came, went and changed, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalog.errors import HistoryError
from catalog.history import load_table
from catalog.lsn import Fold, quoted_name
from catalog.settings import CATALOG
from catalog.source import SourceTable
from catalog.tables import TABLES
from catalog.tables.cdc import SOURCE_PROPERTY
from catalog.time_travel import AsOf, past_of
from catalog.verification.comparison import shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_QUOTE = '"'
_HERE = '"lake here"'
KINDS = ("added", "removed", "changed")


@dataclass(frozen=True)
class RowDifference:
    """A row that is `added`, `removed` or `changed`; by column its values at both points, where they differ."""

    kind: str
    key: dict[str, Any]
    columns: dict[str, tuple[Any, Any]]

    def as_json(self) -> dict[str, Any]:
        """Column values as `[before, after]`."""
        columns = {name: list(pair) for name, pair in self.columns.items()}
        return {"kind": self.kind, "key": self.key, "columns": columns}


@dataclass(frozen=True)
class TableDifference:
    """All of it counted by kind; `rows` are the first by key."""

    table: str
    counts: Mapping[str, int]
    rows: Sequence[RowDifference]

    def as_json(self) -> dict[str, Any]:
        """Its JSON form."""
        return {"table": self.table, **self.counts, "rows": [row.as_json() for row in self.rows]}


def table_difference(
    catalog: Catalog, duckdb: DuckDBPyConnection, name: str, points: tuple[AsOf | None, AsOf | None], limit: int
) -> TableDifference:
    """What became of a table's rows from one point to another. Raises HistoryError for a point that is not held."""
    table = load_table(catalog, name)
    sides = [_side(catalog, duckdb, table, point) for point in points]
    counts, rows = compared(duckdb, sides, _key(table), limit)
    return TableDifference(".".join(table.name()), counts, rows)


def compared(
    duckdb: DuckDBPyConnection, sides: Sequence[str], key: Sequence[str], limit: int
) -> tuple[dict[str, int], list[RowDifference]]:
    """How many rows differ between two selects, by kind, and the first of them; no key means all columns."""
    columns = [_columns(duckdb, side) for side in sides]
    names = list(dict.fromkeys([*columns[0], *columns[1]]))
    key = key or names
    others = [name for name in names if name not in key]
    duckdb.execute(f"create or replace temp table difference as {_joined(sides, columns, key, others)}")
    counted = dict(duckdb.execute("select kind, count(*) from difference group by kind").fetchall())
    ordered = ", ".join(quoted_name(f"k {name}") for name in key)
    found = duckdb.execute(f"select * from difference order by {ordered} limit ?", [limit]).to_arrow_table().to_pylist()
    duckdb.execute("drop table difference")
    return {kind: counted.get(kind, 0) for kind in KINDS}, [_row(each, key, others) for each in found]


def _side(catalog: Catalog, duckdb: DuckDBPyConnection, table: Table, point: AsOf | None) -> str:
    name = ".".join(table.name())
    past = table.metadata.current_snapshot_id if point is None else past_of(point, catalog, duckdb, name)
    if past is None:
        raise HistoryError(f"{name} has no row yet", remedy="lake status")
    if isinstance(past, Fold):
        return f"({past.sql(_QUOTE)})"
    return f"(select * from {CATALOG}.{quoted_name(name)} at (version => {past}))"


def _columns(duckdb: DuckDBPyConnection, side: str) -> list[str]:
    return [str(row[0]) for row in duckdb.execute(f"describe select * from {side}").fetchall()]


def _key(table: Table) -> tuple[str, ...]:
    """What tells rows apart: a mirror's or a declared table's key, nothing elsewhere."""
    if saved := table.properties.get(SOURCE_PROPERTY):
        return SourceTable.from_json(saved).key
    return next((each.key for each in TABLES if each.identifier == ".".join(table.name())), ())


def _joined(sides: Sequence[str], columns: Sequence[Sequence[str]], key: Sequence[str], others: Sequence[str]) -> str:
    """By differing row its kind, `k <column>` of the key, and `a <column>` and `b <column>` of the two points."""

    def value(side: int, name: str) -> str:
        return f"{'ab'[side]}.{quoted_name(name)}" if name in columns[side] else "null"

    keys = [f"coalesce({value(0, k)}, {value(1, k)}) as {quoted_name(f'k {k}')}" for k in key]
    cells = [f"{value(side, n)} as {quoted_name('ab'[side] + ' ' + n)}" for n in others for side in (0, 1)]
    same = " and ".join(f"{value(0, k)} is not distinct from {value(1, k)}" for k in key)
    unlike = [f"{value(0, n)} is distinct from {value(1, n)}" for n in others]
    gone, new = f"b.{_HERE} is null", f"a.{_HERE} is null"
    kind = f"case when {gone} then 'removed' when {new} then 'added' else 'changed' end as kind"
    a, b = (f"(select *, true as {_HERE} from {side})" for side in sides)
    return (
        f"select {', '.join([kind, *keys, *cells])} from {a} a full outer join {b} b on {same}"
        f" where {' or '.join([gone, new, *unlike])}"
    )


def _row(found: Mapping[str, Any], key: Sequence[str], others: Sequence[str]) -> RowDifference:
    pairs = {name: (shown(found[f"a {name}"]), shown(found[f"b {name}"])) for name in others}
    return RowDifference(
        found["kind"],
        {name: shown(found[f"k {name}"]) for name in key},
        {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
    )
