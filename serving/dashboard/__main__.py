"""`python -m serving.dashboard`: serve until stopped."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from streamlit.web import cli

from catalog.settings import Settings, load_settings

APP = Path(__file__).with_name("app.py")


def options(settings: Settings) -> dict[str, str]:
    """Streamlit's options: on loopback, without telemetry, watching no files, showing no traces to who looks."""
    return {
        "server.address": settings.host,
        "server.port": str(settings.port("dashboard")),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "viewer",
        "theme.primaryColor": "#0072B2",
    }


def serve(settings: Settings) -> None:
    """Serve until stopped. What pages need is loaded first, not while the first visitor waits."""
    import_module("serving.dashboard.views")
    flags = [f"--{name}={value}" for name, value in options(settings).items()]
    cli.main(["run", str(APP), *flags])


if __name__ == "__main__":
    serve(load_settings())
