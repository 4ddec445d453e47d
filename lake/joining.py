"""The connector brought up to date, and the tables that joined it copied: Debezium copies only at its own start."""

from __future__ import annotations

from catalog.settings import Settings


def connect(settings: Settings) -> tuple[str, list[str]]:
    """Register or update the connector; returns the outcome and the tables that joined one that was there before."""
    from connectors.registration import captured_tables
    from connectors.setup import ensure_connector
    from streaming.requests import Request, submit

    before = captured_tables(settings)
    outcome = ensure_connector(settings)
    joined = sorted(captured_tables(settings) - before - {"public.heartbeat", "public.signal"}) if before else []
    for table in joined:
        submit(settings, Request("resync", table))
    return outcome, joined
