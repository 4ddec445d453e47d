"""Where trips begin: the city's zones by what they earn, on a map and ranked."""

from __future__ import annotations

import streamlit as st

from serving.client import Rows
from serving.dashboard import charts, shapes, shown
from serving.dashboard.filters import days
from serving.dashboard.lake import as_of, client
from serving.rows import ZonePerformance

MEASURES = {
    "revenue": ("total_revenue", "revenue, $", ",.0f"),
    "pick-ups": ("total_pickups", "pick-ups", ",.0f"),
    "mean fare": ("average_fare", "mean fare, $", ",.2f"),
    "peak hour": ("average_peak_hour_factor", "busiest hour / mean hour", ",.1f"),
    "lost in wet hours": ("average_weather_impact_score", "share of pick-ups missing in wet hours", ".2f"),
}
ALL = "all boroughs"
BOROUGHS = (ALL, "Manhattan", "Brooklyn", "Queens", "Bronx", "Staten Island", "EWR", "Unknown")
RANKED = 20


def show() -> None:
    """The page."""
    st.title("Zones")
    origin, since, until = days("zones")
    left, right = st.columns([1, 2])
    borough = left.selectbox("Borough", BOROUGHS, key="borough")
    measure = right.segmented_control(
        "Measure", list(MEASURES), default="revenue", required=True, wrap=True, key="zones measure"
    )
    rows = client().get_zone_performance(
        origin, since=since, until=until, borough=None if borough == ALL else borough, as_of=as_of()
    )
    if not len(rows):
        shown.nothing(rows.meta.reason)
        return
    _pictures(rows, *MEASURES[str(measure)])
    shown.table(rows, "zones")
    shown.source(rows.meta, derived="the weather behind the wet-hour score is interpolated or moved")


def _pictures(rows: Rows[ZonePerformance], column: str, title: str, form: str) -> None:
    frame = rows.to_pandas()
    frame["zone"] = frame["zone_name"].fillna("zone") + " (" + frame["location_id"].astype(str) + ")"
    known = frame[frame[column].notna()]
    values = dict(zip(known["location_id"].tolist(), known[column].tolist(), strict=True))
    left, right = st.columns(2)
    with left:
        st.subheader("Map")
        shapes.choropleth(values, title, form)
    with right:
        st.subheader(f"First {min(RANKED, len(known))} of {len(known)}")
        best = known.nlargest(RANKED, column)
        st.altair_chart(charts.bars(best, "zone", column, title), alt=f"zones ranked by {title}")
