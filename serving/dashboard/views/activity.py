"""The last hour by zone, and five-minute windows, as the stream keeps them; the page refreshes itself."""

from __future__ import annotations

from datetime import timedelta

import pyarrow.compute as pc
import streamlit as st

from serving.client import Rows
from serving.dashboard import charts, shapes, shown
from serving.dashboard.lake import as_of, client, clock, explained, now, refresh
from serving.dashboard.shown import Figure
from serving.rows import ZoneActivity

WINDOWS = "realtime.trip_aggregations"
HOURS = 3
RANKED = 15


def show() -> None:
    """The page."""
    st.title("Real-time activity")
    live = st.fragment(run_every=refresh())
    live(explained(_zones))()
    st.header(f"Trips by five minutes, last {HOURS} hours")
    live(explained(_windows))()


def _zones() -> None:
    rows = client().get_realtime_activity(as_of=as_of())
    st.caption(f"read at {clock(now())}")
    if not len(rows):
        shown.nothing(rows.meta.reason)
        return
    frame = rows.to_pandas()
    shown.figures(
        Figure("Zones with a window", str(len(frame))),
        Figure("Pick-ups of their last hour", f"{frame['pickup_count'].sum():,.0f}"),
        Figure("Revenue of it", f"${frame['revenue_last_hour'].sum():,.0f}"),
    )
    _pictures(rows)
    shown.table(rows, "activity")
    shown.source(rows.meta)


def _pictures(rows: Rows[ZoneActivity]) -> None:
    frame = rows.to_pandas()
    frame["zone"] = frame["zone_name"].fillna("zone") + " (" + frame["zone_id"].astype(str) + ")"
    values = dict(zip(frame["zone_id"].tolist(), frame["activity_score"].tolist(), strict=True))
    title = "activity score, 1 is usual"
    left, right = st.columns(2)
    with left:
        shapes.choropleth(values, title, ".1f")
    with right:
        best = frame.nlargest(RANKED, "activity_score")
        st.altair_chart(charts.bars(best, "zone", "activity_score", title), alt=f"zones ranked by {title}")


def _windows() -> None:
    since = now() - timedelta(hours=HOURS)
    rows = client().read_table(
        WINDOWS,
        columns=["window_start", "zone_id", "trips", "revenue"],
        where=["window_size:eq:5 minutes", f"window_start:ge:{since.isoformat()}"],
        as_of=as_of(),
        limit=20_000,
    )
    if not len(rows):
        shown.nothing(rows.meta.reason)
        return
    summed = rows.to_arrow().group_by("window_start").aggregate([("trips", "sum"), ("revenue", "sum")])
    summed = summed.rename_columns(["window_start", "trips", "revenue"]).take(pc.sort_indices(summed["window_start"]))
    st.altair_chart(charts.line(summed.to_pandas(), "window_start", "trips", "trips in five minutes"))
    shown.export(summed, "windows")
    shown.source(rows.meta)
