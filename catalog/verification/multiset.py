"""Tables without a key: rows are compared as they are and as often as they are, in DuckDB, which may spill to disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa

from catalog.verification.comparison import Comparison, shown
from catalog.verification.report import Difference
from catalog.verification.source_rows import NOT_HOLDABLE, key_ranges, range_key, read_range
from catalog.verification.staging import STAGED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from catalog.verification.coverage import Pinned

_SOURCE = "scratch.source_rows"
_OF_SOURCE = "source_chunk"


def compare_multisets(
    connection: psycopg.Connection[Any],
    lake: DuckDBPyConnection,
    pinned: Pinned,
    limit: int,
    step: Callable[[int, int], None],
) -> Comparison:
    """Compare the staged mirror with the source; a row that was changed is both missing and extra."""
    key = range_key(connection, pinned.source)
    cuts = key_ranges(connection, pinned.source, key, 0)
    lake.execute(f"CREATE OR REPLACE TABLE {_SOURCE} AS FROM {STAGED} LIMIT 0")
    unholdable = 0
    for done, cut in enumerate(cuts, 1):
        rows = read_range(connection, pinned.source, key, cut)
        if NOT_HOLDABLE in rows.column_names:
            unholdable += len(rows) - rows[NOT_HOLDABLE].null_count
            rows = rows.drop_columns([NOT_HOLDABLE])
        _insert(lake, rows)
        step(done, len(cuts))
    missing, extra = unlike(lake, _SOURCE, STAGED, limit), unlike(lake, STAGED, _SOURCE, limit)
    (count,) = lake.execute(f"SELECT count(*) FROM {_SOURCE}").fetchone() or (0,)
    found = [_difference("missing", row) for row in missing[1]] + [_difference("extra", row) for row in extra[1]]
    return Comparison(int(count), missing[0] + extra[0] + unholdable, tuple(found[:limit]))


def unlike(lake: DuckDBPyConnection, one: str, other: str, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many rows of one relation the other lacks, each as often as it is there, and the first of them."""
    query = f"FROM {one} EXCEPT ALL FROM {other}"
    row = lake.execute(f"SELECT count(*) FROM ({query})").fetchone()
    if not row or not row[0]:
        return 0, []
    found = lake.execute(f"SELECT * FROM ({query}) LIMIT {limit}").to_arrow_table().to_pylist()
    return int(row[0]), [{name: shown(value) for name, value in each.items()} for each in found]


def _insert(lake: DuckDBPyConnection, rows: pa.Table) -> None:
    lake.register(_OF_SOURCE, rows)
    lake.execute(f"INSERT INTO {_SOURCE} FROM {_OF_SOURCE}")
    lake.unregister(_OF_SOURCE)


def _difference(kind: str, row: dict[str, Any]) -> Difference:
    return Difference({}, kind, {name: (None, v) if kind == "missing" else (v, None) for name, v in row.items()})
