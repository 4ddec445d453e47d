"""What every model here has in common: rows as columns of numbers, a split by time, and what a fit leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.models.calendar import NEW_YORK
from batch.models.scores import Numbers
from catalog.errors import BatchError
from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.tables.table import Table

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

Columns = Mapping[str, NDArray[Any]]
"""Equally long arrays by name; unknown numbers are NaN."""
Scores = Mapping[str, Mapping[str, float]]
"""Of the test month: measure by forecast, the model's own under `model`."""
WARM_UP = timedelta(days=56)
"""At the begin of the record the means over past weeks are not yet what they will be; no model learns from that."""


@dataclass(frozen=True)
class Split:
    """Rows from `first` on train, from `validation` on calibrate, from `test` until `end` are scored."""

    first: datetime
    validation: datetime
    test: datetime
    end: datetime

    @property
    def described(self) -> dict[str, str]:
        """For the record of a training."""
        return {f"{part}_from": time.isoformat() for part, time in self._edges()} | {"test_until": self.end.isoformat()}

    def part(self, times: NDArray[np.datetime64]) -> NDArray[np.str_]:
        """Of each time in UTC: `train`, `validation`, `test`, or an empty text outside."""
        edges = [_moment(time) for _, time in (*self._edges(), ("end", self.end))]
        return np.array(["", "train", "validation", "test", ""])[np.searchsorted(edges, times, side="right")]

    def _edges(self) -> tuple[tuple[str, datetime], ...]:
        return ("train", self.first), ("validation", self.validation), ("test", self.test)


def utc(time: np.datetime64) -> datetime:
    """A time of a column as a moment."""
    return datetime.fromisoformat(str(time.astype("datetime64[us]"))).replace(tzinfo=UTC)


def _moment(time: datetime) -> np.datetime64:
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None))


def time_split(first_hour: datetime, known_until: datetime) -> Split:
    """The last month is the test, the month before it validation; of a short record a tenth each."""
    tenth = (known_until - first_hour) / 10
    test = max(_month_before(known_until), known_until - tenth)
    validation = max(_month_before(test), test - tenth)
    return Split(first_hour + min(WARM_UP, 2 * tenth), validation, test, known_until)


def _month_before(time: datetime) -> datetime:
    """The same day and hour of the month before, in New York; that month's last day where it has no such day."""
    local = time.astimezone(NEW_YORK)
    last = local.replace(day=1) - timedelta(days=1)
    return last.replace(day=min(local.day, last.day)).astimezone(time.tzinfo)


@dataclass(frozen=True)
class Read:
    """Rows of one snapshot of a table."""

    rows: Columns
    snapshot_id: int


@dataclass(frozen=True)
class Model:
    """A fitted model. `spread` makes its intervals; `version` is empty until the registry gives one."""

    name: str
    features: tuple[str, ...]
    regressor: HistGradientBoostingRegressor
    spread: float
    version: str = ""

    def predict(self, rows: Columns) -> Numbers:
        """One prediction a row."""
        predicted: Numbers = self.regressor.predict(matrix(rows, self.features))
        return predicted


@dataclass(frozen=True)
class Trained:
    """What a training found: the model, its scores beside the baselines', and what it was made from."""

    model: Model
    scores: Scores
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read(settings: Settings, table: Table, columns: Sequence[str], where: str, order: Sequence[str]) -> Read:
    """The rows of a published table that match `where`, as pyiceberg writes it, ordered by `order`.

    Raises BatchError when there is no such table or row.
    """
    catalog = iceberg_catalog(settings)
    missing = BatchError(
        f"{table.identifier} has no rows where {where}",
        remedy="run the DAG comprehensive_analytics_pipeline, whose last task makes them",
    )
    if not catalog.table_exists(table.identifier):
        raise missing
    snapshot = catalog.load_table(table.identifier).current_snapshot()
    if snapshot is None:
        raise missing
    scan = catalog.load_table(table.identifier).scan(where, tuple(columns), snapshot_id=snapshot.snapshot_id)
    found = scan.to_arrow().sort_by([(name, "ascending") for name in order])
    if not found.num_rows:
        raise missing
    return Read(as_columns(found, columns), snapshot.snapshot_id)


def as_columns(table: pa.Table, names: Sequence[str]) -> Columns:
    """These columns of the table as arrays."""
    return {name: _numbers(table.column(name)) for name in names}


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    """Numbers and booleans in single precision, times in UTC without a zone, anything else as it is."""
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column.cast(pa.float32()).to_numpy())
    return np.asarray(column.to_numpy())


def matrix(rows: Columns, features: tuple[str, ...]) -> NDArray[np.float32]:
    """The features side by side, one row a row."""
    return np.column_stack([np.asarray(rows[name], np.float32) for name in features])


def chosen(rows: Columns, where: NDArray[np.bool_]) -> Columns:
    """The rows where `where` is true."""
    return {name: column[where] for name, column in rows.items()}
