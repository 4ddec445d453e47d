"""What `lake up` and scripts/setup-connectors.sh call: the source first; topics and connector when those answer."""

from __future__ import annotations

from catalog.settings import Settings
from connectors.registration import Outcome, register
from connectors.source import ensure_source
from connectors.topics import ensure_topics

__all__ = ["ensure_connector", "ensure_source"]


def ensure_connector(settings: Settings) -> Outcome:
    """Create the topics, register or update the connector, and return once it and its task are RUNNING.

    Raises ComponentError, with the task's trace when the connector failed.
    """
    ensure_topics(settings)
    return register(settings)
