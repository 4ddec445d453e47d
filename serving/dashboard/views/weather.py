"""How demand and fares go with the weather."""

from __future__ import annotations

import streamlit as st

from serving.dashboard import charts, shown
from serving.dashboard.filters import days
from serving.dashboard.lake import as_of, client

MEASURES = {
    "trips an hour": ("average_trips_per_hour", "mean trips an hour"),
    "fare": ("average_fare", "mean fare, $"),
    "distance": ("average_distance_miles", "mean distance, miles"),
    "hours": ("hours", "hours of that weather"),
}


def show() -> None:
    """The page."""
    st.title("Weather impact")
    origin, since, until = days("weather")
    rows = client().get_weather_impact(origin, since=since, until=until, as_of=as_of())
    if not len(rows):
        shown.nothing(rows.meta.reason)
        return
    measure = st.segmented_control(
        "Measure", list(MEASURES), default="trips an hour", required=True, wrap=True, key="w measure"
    )
    column, title = MEASURES[str(measure)]
    frame = rows.to_pandas()
    frame["weather_condition"] = frame["weather_condition"].fillna("unknown")
    st.altair_chart(charts.bars(frame, "weather_condition", column, title), alt=f"{title} by weather")
    st.caption(
        "`temperature_correlation` is of an hour's temperature and its trips under that weather; it says that they go"
        " together, not why."
    )
    shown.table(rows, "weather")
    shown.source(rows.meta, derived="the hours' weather is interpolated from days, or moved with the trips")
