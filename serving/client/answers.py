"""What the client's methods return: rows as models or data frames, with what the API said of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar

import httpx
import pyarrow as pa
from pydantic import BaseModel

from catalog.errors import ConfigurationError
from serving.rows import (
    DashboardStats,
    Meta,
    ZoneActivity,
)
from serving.status import PipelineStatus

if TYPE_CHECKING:
    import pandas
    import polars

RowModel = TypeVar("RowModel", bound=BaseModel)


class Stats(DashboardStats):
    """Key figures, and what was said of them."""

    meta: Meta


class Status(PipelineStatus):
    """The pipeline's state, and what was said of it."""

    meta: Meta


class ActivityEvent(BaseModel):
    """The activity of all zones at one moment; `id` goes back as `last_event_id` to go on from here."""

    id: str
    data: list[ZoneActivity]
    meta: Meta


class Rows(Generic[RowModel]):
    """Rows of one answer, or of several pages put together. Iterating gives models of `model`."""

    def __init__(self, table: pa.Table, meta: Meta, model: type[RowModel]) -> None:
        self._table, self.meta, self.model = table, meta, model

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[RowModel]:
        return (self.model.model_validate(row) for row in self._table.to_pylist())

    def to_arrow(self) -> pa.Table:
        """The rows as they were sent; decimals are exact."""
        return self._table

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas data frame, `meta` in its `attrs`. Decimals become floats, times stay in UTC."""
        _needed("pandas")
        frame = _with_floats(self._table).to_pandas()
        frame.attrs["meta"] = self.meta.model_dump(mode="json")
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A polars data frame; decimals are exact."""
        frame: polars.DataFrame = _needed("polars").from_arrow(self._table)
        return frame


def rows_of(response: httpx.Response, model: type[RowModel]) -> Rows[RowModel]:
    """The rows of an Arrow answer."""
    with pa.ipc.open_stream(response.content) as reader:
        table = reader.read_all()
    return Rows(table, Meta.model_validate(json.loads(response.headers["lakehouse-meta"])), model)


def together(pages: Sequence[Rows[RowModel]], limit: int) -> Rows[RowModel]:
    """Pages of one reading as one, at most `limit` rows; what is said is that of the last page."""
    table = pa.concat_tables([page.to_arrow() for page in pages]).slice(0, limit)
    last = pages[-1]
    return Rows(table, last.meta.model_copy(update={"rows": table.num_rows}), last.model)


def _with_floats(table: pa.Table) -> pa.Table:
    floats = [field.with_type(pa.float64()) if pa.types.is_decimal(field.type) else field for field in table.schema]
    return table.cast(pa.schema(floats))


def _needed(package: str) -> ModuleType:
    try:
        return import_module(package)
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"this data frame needs {package}, which is not installed", remedy=f"pip install {package}"
        ) from missing
