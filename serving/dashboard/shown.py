"""What every page shows alike: tables with their exports, and where numbers come from."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import streamlit as st

from serving.client import Rows
from serving.dashboard.lake import as_of, clock
from serving.rows import Meta


def table(rows: Rows[Any], name: str, hidden: tuple[str, ...] = ()) -> None:
    """Rows with their exports, or why there are none. `name` begins the files' names."""
    if not len(rows):
        nothing(rows.meta.reason)
        return
    _grid(rows.to_pandas().drop(columns=list(hidden), errors="ignore"), name)
    export(rows.to_arrow(), name)


def frame(rows: pd.DataFrame, name: str) -> None:
    """The same of a data frame."""
    _grid(rows, name)
    export(pa.Table.from_pandas(rows, preserve_index=False), name)


def export(rows: pa.Table, name: str) -> None:
    """Two buttons that give exactly these rows: CSV, and Parquet with its types."""
    past, kind = "-as-of" if as_of() else "", "application/vnd.apache.parquet"
    with st.container(horizontal=True):
        st.download_button("CSV", _csv(rows), f"{name}{past}.csv", "text/csv", key=f"csv {name}", on_click="ignore")
        st.download_button(
            "Parquet", _parquet(rows), f"{name}{past}.parquet", kind, key=f"parquet {name}", on_click="ignore"
        )


class Figure(NamedTuple):
    """A key figure; `about` is shown to who asks, `change` below it."""

    name: str
    value: str
    about: str = ""
    change: str = ""


def figures(*each: Figure) -> None:
    """Key figures side by side, as many to a line as it holds whole."""
    with st.container(horizontal=True):
        for name, value, about, change in each:
            st.metric(
                name, value, change or None, delta_color="off", help=about or None,
                border=True, width="content", height="stretch",
            )  # fmt: skip


def meta_of(frame: pd.DataFrame) -> Meta:
    """What the API said of a frame that the client gave."""
    return Meta.model_validate(frame.attrs["meta"])


def nothing(reason: str | None) -> None:
    """In the place of numbers that there are not."""
    st.info(reason or "no data yet", icon=":material/hourglass_empty:")


def source(meta: Meta, *, derived: str = "") -> None:
    """Which snapshots were read, and whether something is derived, with what that means here."""
    read = [each for each in meta.snapshots if each.snapshot_id]
    named = " · ".join(f"`{each.table}` of {clock(each.committed_at)}" for each in read if each.committed_at)
    mark = f":orange-badge[derived] {derived} " if meta.derived else ""
    if named or mark:
        st.caption(f"{mark}{named}")


def percent(change: float | None) -> str:
    """A change against the window before."""
    return f"{change:+.1f} %" if change is not None else ""


def _grid(frame: pd.DataFrame, name: str) -> None:
    """A table with times in New York's zone, shown with them."""
    zoned = frame.select_dtypes("datetimetz").columns
    frame = frame.assign(**{column: frame[column].dt.tz_convert("America/New_York") for column in zoned})
    named = {column: column.replace("_", " ") for column in frame.columns}
    st.dataframe(frame.rename(columns=named), hide_index=True, key=f"table {name}")


def _csv(rows: pa.Table) -> bytes:
    """Decimals with all their digits; lists and structs stand in their cells as JSON."""
    written = io.BytesIO()
    csv.write_csv(pa.table({name: _cells(rows[name]) for name in rows.column_names}), written)
    return written.getvalue()


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_nested(column.type):
        return pa.array([None if v is None else json.dumps(v, default=str) for v in column.to_pylist()], pa.string())
    return column.cast(pa.string()) if pa.types.is_decimal(column.type) else column


def _parquet(rows: pa.Table) -> bytes:
    written = io.BytesIO()
    parquet.write_table(rows, written)
    return written.getvalue()
