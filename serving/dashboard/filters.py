"""Filters that several pages have."""

from __future__ import annotations

from datetime import date

import streamlit as st

from serving.client.calls import Origin

ORIGINS: dict[str, Origin] = {"replayed to now (mirror)": "cdc", "TLC's files, 2019": "tlc"}


def days(page: str) -> tuple[Origin, date | None, date | None]:
    """Which trips, and the first and last day; None: no bound."""
    left, middle, right = st.columns([2, 1, 1])
    chosen = left.selectbox("Trips", list(ORIGINS), key=f"{page} origin", help="two origins, never added up")
    since = middle.date_input("First day", value=None, key=f"{page} since")
    until = right.date_input("Last day", value=None, key=f"{page} until")
    if since and until and since > until:
        st.warning("The first day lies behind the last one.")
        st.stop()
    return ORIGINS[chosen], since, until
