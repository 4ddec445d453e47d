"""One landed TLC file: what its footer says, and its rows for Spark, each with its exact place in the file.

The rows come through pyarrow in Spark's own workers, row group by row group: Spark has no order of rows to count by, a
row group has one, and pyarrow reads whatever types a month was written with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from pyarrow.fs import FileSystem

from batch.landing import Landed
from batch.taxi.columns import COLUMNS, match
from batch.taxi.values import checked, rounded
from catalog.errors import BatchError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_BATCH_ROWS = 65_536
_TASK_ROWS = 250_000
"""Row groups of fewer rows share a task: a hundred tiny ones would take longer to start than to read."""
_MAGIC = b"PAR1"
_ROWS = ", ".join(
    ("row bigint", *(column.in_spark for column in COLUMNS), "unreadable array<string>", "rounded array<string>")
)


@dataclass(frozen=True)
class TlcFile:
    """A file whose footer was read: rows of each row group, its name of each column by TLC's, its unknown columns."""

    path: str
    name: str
    groups: tuple[int, ...]
    columns: Mapping[str, str]
    unknown: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of the whole file."""
        return sum(self.groups)


def read_footer(files: FileSystem, landed: Landed) -> TlcFile:
    """What the file holds. Raises BatchError when it is no whole Parquet file of yellow-taxi trips, or holds no row."""
    with files.open_input_file(landed.path) as stream:
        start = stream.read(16)
        if not start.startswith(_MAGIC):
            raise BatchError(f"{landed.name} is no Parquet file, it begins with {start!r}", remedy=_again(landed))
        try:
            opened = parquet.ParquetFile(stream)
        except (pa.ArrowInvalid, OSError) as broken:
            raise BatchError(
                f"{landed.name} is cut off or damaged ({landed.size:,} bytes): {broken}", remedy=_again(landed)
            ) from broken
        footer = opened.metadata
        groups = tuple(footer.row_group(place).num_rows for place in range(footer.num_row_groups))
        found = match(landed.name, opened.schema_arrow)
    if not sum(groups):
        raise BatchError(f"{landed.name} holds no rows", remedy=_again(landed))
    return TlcFile(landed.path, landed.name, groups, found.names, found.unknown)


def typed_rows(spark: SparkSession, files: FileSystem, file: TlcFile) -> DataFrame:
    """Every row under TLC's names and our types, with `row`, counted from 0.

    `unreadable` names the columns whose value does not fit its type, `rounded` those that had more than two decimals.
    """
    return _by_row_group(spark, file, _ROWS, lambda group: _typed(files, file, group))


def raw_rows(spark: SparkSession, files: FileSystem, file: TlcFile, wanted: np.ndarray) -> DataFrame:
    """The wanted rows as the file holds them: `source_row`, and `raw` as JSON under the file's own names."""
    ordered = np.sort(wanted)
    return _by_row_group(spark, file, "source_row bigint, raw string", lambda group: _raw(files, file, group, ordered))


def _by_row_group(
    spark: SparkSession, file: TlcFile, schema: str, read: Callable[[int], Iterator[pa.RecordBatch]]
) -> DataFrame:
    def of_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for group in batch.column(0).to_pylist():
                yield from read(group)

    count = len(file.groups)
    tasks = min(count, 1 + file.rows // _TASK_ROWS)
    return spark.range(0, count, 1, tasks).mapInArrow(of_groups, schema)


def _batches(
    files: FileSystem, file: TlcFile, group: int, columns: list[str] | None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """A row group in pieces, each with the place in the file of its first row."""
    row = [0, *accumulate(file.groups)][group]
    with files.open_input_file(file.path) as stream:
        opened = parquet.ParquetFile(stream)
        for batch in opened.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns):
            yield row, batch
            row += batch.num_rows


def _typed(files: FileSystem, file: TlcFile, group: int) -> Iterator[pa.RecordBatch]:
    for row, batch in _batches(files, file, group, list(file.columns.values())):
        yield typed_batch(batch, row, file.columns)


def typed_batch(batch: pa.RecordBatch, row: int, names: Mapping[str, str]) -> pa.RecordBatch:
    """A batch under TLC's names and our types, whose first row is `row` of its file; as `typed_rows` gives it."""
    made: dict[str, Any] = {"row": pa.array(np.arange(row, row + batch.num_rows))}
    unreadable, more_decimals = {}, {}
    for column in COLUMNS:
        if column.name not in names:
            made[column.name] = pa.nulls(batch.num_rows, column.type)
            continue
        held = batch.column(names[column.name])
        made[column.name], unreadable[column.name] = checked(held, column.type)
        if pa.types.is_decimal(column.type):
            more_decimals[column.name] = rounded(held)
    made["unreadable"] = _named(unreadable, batch.num_rows)
    made["rounded"] = _named(more_decimals, batch.num_rows)
    return pa.RecordBatch.from_pydict(made)


def _named(masks: Mapping[str, np.ndarray], rows: int) -> pa.Array:
    """For each row the names of the masks that are true in it."""
    names: list[list[str]] = [[] for _ in range(rows)]
    for name, mask in masks.items():
        for place in np.flatnonzero(mask):
            names[place].append(name)
    return pa.array(names, pa.list_(pa.string()))


def _raw(files: FileSystem, file: TlcFile, group: int, wanted: np.ndarray) -> Iterator[pa.RecordBatch]:
    for row, batch in _batches(files, file, group, None):
        low, high = np.searchsorted(wanted, [row, row + batch.num_rows])
        chosen = wanted[low:high]
        texts = [json.dumps(_as_json(values)) for values in batch.take(pa.array(chosen - row)).to_pylist()]
        yield pa.RecordBatch.from_pydict(
            {"source_row": pa.array(chosen, pa.int64()), "raw": pa.array(texts, pa.string())}
        )


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has neither times nor infinity: they are texts."""
    plain = (int, str, bool, type(None))
    return {
        name: value if isinstance(value, plain) or (isinstance(value, float) and np.isfinite(value)) else str(value)
        for name, value in values.items()
    }


def _again(landed: Landed) -> str:
    return f"look at {landed.origin}; fetch it again when it is whole, a file of the same bytes is refused again"
