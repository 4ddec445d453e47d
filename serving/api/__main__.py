"""`python -m serving.api`: serve until stopped."""

from __future__ import annotations

import uvicorn

from catalog.logging import configure_logging
from catalog.settings import Settings, load_settings
from serving.api.app import create_app


def serve(settings: Settings) -> None:
    """Serve until stopped, in one process: its memory of answers and its rate limits are its own."""
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port("api"),
        log_level="warning",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    configure_logging()
    serve(load_settings())
