"""The frame of every page: the menu, and the moment that is looked at. Streamlit runs it again at each interaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import streamlit as st

from serving.dashboard.lake import MOMENT, clock, explained, moment
from serving.dashboard.views import activity, alerts, demand, overview, pipeline, weather, zones

ICON = Path(__file__).with_name("icon.svg")
NOW = "now"
AGO: dict[str, timedelta | None] = {
    "7 days ago": timedelta(days=7),
    "3 days ago": timedelta(days=3),
    "24 h ago": timedelta(hours=24),
    "12 h ago": timedelta(hours=12),
    "6 h ago": timedelta(hours=6),
    "3 h ago": timedelta(hours=3),
    "1 h ago": timedelta(hours=1),
    "30 min ago": timedelta(minutes=30),
    "15 min ago": timedelta(minutes=15),
    "10 min ago": timedelta(minutes=10),
    "5 min ago": timedelta(minutes=5),
    "2 min ago": timedelta(minutes=2),
    "1 min ago": timedelta(minutes=1),
    NOW: None,
}
PAGES: tuple[tuple[str, str, str, Callable[[], None]], ...] = (
    ("Overview", "overview", ":material/monitoring:", overview.show),
    ("Zones", "zones", ":material/map:", zones.show),
    ("Weather", "weather", ":material/rainy:", weather.show),
    ("Demand forecast", "demand", ":material/trending_up:", demand.show),
    ("Real-time activity", "activity", ":material/bolt:", activity.show),
    ("Alerts", "alerts", ":material/notifications:", alerts.show),
    ("Pipeline", "pipeline", ":material/account_tree:", pipeline.show),
)


def _pin() -> None:
    """Keep the moment that was chosen: every page then shows the same one, however late it is opened."""
    ago = AGO[st.session_state["as of"]]
    st.session_state[MOMENT] = datetime.now(UTC) - ago if ago else None


def frame() -> None:
    """Menu, time travel, and the page that was chosen."""
    # without one of its own, a page's icon would be fetched from the internet
    st.set_page_config(page_title="Lakehouse", page_icon=str(ICON), layout="wide")
    pages = [
        st.Page(explained(show), title=title, url_path=path, icon=icon, default=path == "overview")
        for title, path, icon, show in PAGES
    ]
    chosen = st.navigation(pages)
    with st.sidebar:
        st.select_slider("The lake as of", list(AGO), NOW, key="as of", on_change=_pin)
        when = moment()
        st.caption(clock(when) if when else "the present; live parts refresh themselves")
    if when:
        st.warning(f"You see the lake as of **{clock(when)}**. Move the slider to “now” for the present.")
    chosen.run()


frame()
