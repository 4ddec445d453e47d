"""What people look at: the API over the lake, and the dashboard over the API."""

from __future__ import annotations

import sys
from collections.abc import Callable

from catalog.settings import Settings
from stack import health
from stack.commands import Command, own_settings
from stack.component import Component

GROUP = "serving"


def command(module: str) -> Callable[[Settings], Command]:
    """A process of ours, which reads the same settings."""
    return lambda settings: Command((sys.executable, "-P", "-m", module), own_settings(settings))


COMPONENTS = (
    Component(
        name="api",
        title="API",
        group=GROUP,
        command=command("serving.api"),
        ask=health.ask_api,
        address=lambda settings: settings.api,
        ports=("api",),
        after=("store", "catalog"),
        external=("api_url",),
        start_seconds=180,  # it is not ready before its engine is, and Trino starts beside it
    ),
    Component(
        name="dashboard",
        title="dashboard",
        group=GROUP,
        command=command("serving.dashboard"),
        ask=health.ask_dashboard,
        address=lambda settings: settings.dashboard,
        ports=("dashboard",),
        after=("api",),
        stop_seconds=10,
    ),
)
