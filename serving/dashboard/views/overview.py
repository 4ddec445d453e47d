"""Key figures against the window before, trips by hour, and the newest trips."""

from __future__ import annotations

import streamlit as st

from serving.dashboard import charts, shown
from serving.dashboard.lake import as_of, client, clock, explained, figures_first, refresh

WINDOWS = {"6 hours": 6, "24 hours": 24, "7 days": 168}
MEASURES = {
    "trips": ("trips", "trips an hour", ",.0f"),
    "revenue": ("revenue", "revenue an hour, $", ",.0f"),
    "average fare": ("average_fare", "mean fare, $", ",.2f"),
    "active zones": ("active_zones", "zones with a pick-up", ",.0f"),
}


def show() -> None:
    """The page."""
    st.title("Overview")
    window = st.segmented_control("Window", list(WINDOWS), default="24 hours", required=True, wrap=True, key="window")
    hours = WINDOWS[str(window)]
    live = st.fragment(run_every=refresh())(explained(_figures))
    live(hours)
    figures_first()
    measure = st.segmented_control("Measure", list(MEASURES), default="trips", required=True, wrap=True, key="measure")
    _series(hours, str(measure))
    st.subheader("Newest trips")
    _newest()


def _figures(hours: int) -> None:
    stats = client().get_dashboard_stats(hours, as_of=as_of())
    if stats.meta.reason and not stats.total_trips:
        shown.nothing(stats.meta.reason)
        return
    figures = [
        ("Trips", f"{stats.trips:,}", stats.trips_change_percent),
        ("Revenue", f"${stats.revenue:,.0f}", stats.revenue_change_percent),
        ("Mean fare", _dollars(stats.average_fare), stats.average_fare_change_percent),
        ("Mean distance", _miles(stats.average_distance_miles), stats.average_distance_miles_change_percent),
        ("Active zones", str(stats.active_zones), _change(stats.active_zones, stats.active_zones_before)),
    ]
    about = f"by pick-up, {clock(stats.window_start)} to {clock(stats.window_end)}"
    shown.figures(*(shown.Figure(name, value, about, shown.percent(change)) for name, value, change in figures))
    st.caption(
        f"{clock(stats.window_start)} to {clock(stats.window_end)}, change against the {hours} h before · in all"
        f" {stats.total_trips:,} trips, ${stats.total_revenue:,.0f}"
    )
    shown.source(stats.meta)


def _series(hours: int, measure: str) -> None:
    column, title, form = MEASURES[measure]
    rows = client().get_trip_series(max(hours, 24), as_of=as_of())
    if not len(rows):
        shown.nothing(rows.meta.reason)
        return
    st.altair_chart(charts.line(rows.to_pandas(), "hour", column, title, form), alt=f"{title}, by hour")
    shown.export(rows.to_arrow(), "trips-by-hour")


def _newest() -> None:
    """The newest trips as they stand."""
    trips = client().get_recent_trips(100, as_of=as_of())
    meta = shown.meta_of(trips)
    if trips.empty:
        shown.nothing(meta.reason)
        return
    shown.frame(trips, "trips")
    shown.source(meta)


def _change(value: float, before: float) -> float | None:
    return 100 * (value - before) / before if before else None


def _dollars(value: float | None) -> str:
    return "–" if value is None else f"${value:,.2f}"


def _miles(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} mi"
