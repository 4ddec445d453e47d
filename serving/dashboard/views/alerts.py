"""Alerts that the stream raised, and whether they are over."""

from __future__ import annotations

import streamlit as st

from serving.dashboard import charts, shown
from serving.dashboard.lake import as_of, client, explained, refresh
from serving.dashboard.shown import Figure

MOST = 1000


def show() -> None:
    """The page."""
    st.title("Alerts")
    only_open = st.toggle("only those that are not over", key="open alerts")
    st.fragment(run_every=refresh())(explained(_raised))(only_open)


def _raised(only_open: bool) -> None:
    conditions = ["cleared_at:null"] if only_open else []
    rows = client().read_table("realtime.alerts", where=conditions, order_by="-raised_at", as_of=as_of(), limit=MOST)
    if not len(rows):
        shown.nothing(rows.meta.reason)
        shown.source(rows.meta)
        return
    frame = rows.to_pandas()
    shown.figures(
        Figure("Not over", str(frame["cleared_at"].isna().sum())),
        Figure("Shown", str(len(frame)), f"the newest {MOST} at most"),
    )
    by_rule = frame.groupby("rule", as_index=False).size()
    st.altair_chart(charts.bars(by_rule, "rule", "size", "alerts", charts.ORANGE), alt="alerts by rule")
    shown.table(rows, "alerts")
    shown.source(rows.meta)
