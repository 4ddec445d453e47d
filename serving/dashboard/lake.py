"""The lake as the pages see it: one client for all, the moment that is looked at, and what failed, explained."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec
from zoneinfo import ZoneInfo

import streamlit as st

from catalog.errors import LakehouseError
from catalog.settings import load_settings
from serving.api.keys import DASHBOARD, written
from serving.client import (
    AuthenticationError,
    LakehouseClient,
    NotFoundError,
    ServerError,
    SnapshotGoneError,
    UnreachableError,
)
from serving.client.transport import Patience

NEW_YORK = ZoneInfo("America/New_York")
MOMENT = "moment"
"""Key in the session's state: the UTC time that is looked at, None for the present."""
REFRESH_SECONDS = 5
SOON_SECONDS = 0.2
"""After which a browser that has the figures asks for the rest."""
Page = ParamSpec("Page")


@st.cache_resource
def client() -> LakehouseClient:
    """The client; its key is LAKE_API_KEY, or the dashboard's own, which the API of the same stack knows."""
    settings = load_settings()
    given = settings.api_key
    key = given.get_secret_value() if given else written(DASHBOARD, settings.secrets.dashboard_key)
    return LakehouseClient(settings.api, key, patience=Patience(request_seconds=15, attempts=2, seconds=20))


def moment() -> datetime | None:
    """The UTC time that is looked at; None for the present."""
    found: datetime | None = st.session_state.get(MOMENT)
    return found


def as_of() -> str | None:
    """The same as the API's `as_of`."""
    when = moment()
    return f"time:{when.isoformat()}" if when else None


def now() -> datetime:
    """The time that is looked at, or the present."""
    return moment() or datetime.now(UTC)


def refresh() -> int | None:
    """Seconds between two readings of a live part; the past needs none."""
    return REFRESH_SECONDS if moment() is None else None


def figures_first() -> None:
    """End a session's first page here, and let the browser ask for the rest as soon as it has come so far.

    Charts and tables are a megabyte of code: a browser that has them to read already shows no figure for a second.
    """
    if not st.session_state.get("has figures"):
        st.fragment(run_every=SOON_SECONDS)(_rest)()
        st.stop()


def _rest() -> None:
    """First part of the page, and so run with it; then run alone, when the browser asks, which it may do twice."""
    asks, has = st.session_state.get("asks"), st.session_state.get("has figures")
    st.session_state["asks"] = True
    if asks and not has:
        st.session_state["has figures"] = True
        st.rerun()


def clock(when: datetime) -> str:
    """A time as people in New York read it, with its zone."""
    return f"{when.astimezone(NEW_YORK):%a %-d %b %Y, %H:%M:%S %Z}"


def explained(part: Callable[Page, None]) -> Callable[Page, None]:
    """Show a page, or a part of one that refreshes itself; what fails is explained in its place."""

    @functools.wraps(part)
    def shown(*given: Page.args, **named: Page.kwargs) -> None:
        try:
            part(*given, **named)
        except NotFoundError as missing:
            st.info(f"no data yet: {missing.detail}", icon=":material/hourglass_empty:")
        except SnapshotGoneError as gone:
            st.warning(f"The lake does not hold that moment: {gone.detail}. Move “the lake as of”.")
        except UnreachableError as silent:
            st.error(f"**The API does not answer.** {silent}")
            st.markdown("`lake status` shows what runs, `lake up --with serving` starts what does not.")
        except ServerError as down:
            st.error(f"**The lake does not answer.** {down.detail}")
            st.markdown("Reload this page when `lake status` shows store and catalog well.")
        except AuthenticationError as refused:
            st.error(f"**The API does not know this dashboard's key.** {refused.detail}")
        except LakehouseError as failed:
            st.error(str(failed))

    return shown
