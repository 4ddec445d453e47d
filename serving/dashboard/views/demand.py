"""Demand to come with its interval, and how good what was foreseen turned out to be."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from serving.dashboard import charts, shown
from serving.dashboard.lake import as_of, client
from serving.dashboard.shown import Figure

DERIVED = "the weather that predictions rest on is derived"
ALL = "all zones, summed"


def show() -> None:
    """The page."""
    st.title("Demand forecast")
    st.caption("pick-ups an hour in the trips of the lake, 24 hours ahead")
    _ahead()
    st.header("Past error")
    _past()


def _ahead() -> None:
    frame = client().get_demand_predictions(24, as_of=as_of())
    meta = frame.attrs["meta"]
    if frame.empty:
        shown.nothing(meta["reason"])
        return
    frame["zone"] = frame["zone_name"].fillna("zone") + " (" + frame["location_id"].astype(str) + ")"
    busiest = frame.groupby("zone")["predicted_demand"].sum().sort_values(ascending=False)
    zone = st.selectbox("Zone, the busiest first", [ALL, *busiest.index], index=1, key="forecast zone")
    if zone == ALL:
        total = frame.groupby("prediction_hour", as_index=False)["predicted_demand"].sum()
        st.altair_chart(charts.line(total, "prediction_hour", "predicted_demand", "pick-ups an hour", ",.1f"))
        st.caption("Intervals are of single zones; sums of them would be too wide, so none is drawn.")
        rows = frame
    else:
        rows = frame[frame["zone"] == zone]
        st.altair_chart(charts.forecast(rows, "pick-ups an hour"), alt=f"demand foreseen in {zone}, 90 % interval")
        _confidence(rows)
    shown.frame(rows.drop(columns=["zone"]), "forecast")
    shown.source(shown.meta_of(frame), derived=DERIVED)


def _confidence(rows: pd.DataFrame) -> None:
    confidence, factor = rows["confidence_score"].mean(), rows["weather_impact_factor"].mean()
    held = "–" if pd.isna(confidence) else f"{100 * confidence:.0f} %"
    against = "–" if pd.isna(factor) else f"{factor:.2f}"
    shown.figures(
        Figure("Intervals that held here", held, "mean share over the last 28 days, by hour of day"),
        Figure("Weather factor", against, "against the same hours with usual weather"),
    )


def _past() -> None:
    rows = client().get_prediction_accuracy(168, as_of=as_of())
    if not len(rows):
        shown.nothing(rows.meta.reason)
        return
    frame = rows.to_pandas()
    error, within = _mean(frame, "mean_absolute_error"), 100 * _mean(frame, "share_within_interval")
    shown.figures(
        Figure("Hours", f"{len(frame)}", "that were foreseen before they began and are over"),
        Figure("Mean error", f"{error:.2f}", "pick-ups by zone and hour"),
        Figure("Within the interval", f"{within:.0f} %", f"of {frame['zones'].sum():,}; 90 % is aimed at"),
    )
    columns = {"predicted_demand": "foreseen", "pickups": "came"}
    st.altair_chart(charts.compared(frame, "prediction_hour", columns, "pick-ups an hour, all zones"))
    shown.table(rows, "forecast-error")
    shown.source(rows.meta, derived=DERIVED)


def _mean(frame: pd.DataFrame, column: str) -> float:
    """By zone, not by hour."""
    return float((frame[column] * frame["zones"]).sum() / frame["zones"].sum())
