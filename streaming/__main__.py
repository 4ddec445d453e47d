"""`python -m streaming`: the streaming job, until it is told to end."""

from __future__ import annotations

import gc
import sys

import structlog

from catalog.errors import LakehouseError
from catalog.logging import configure_logging
from catalog.session import spark_session
from catalog.settings import load_settings
from streaming.driver import Driver
from streaming.metrics import serve


def main() -> None:
    """Start Spark and stream."""
    configure_logging()
    # A slice makes a million short-lived containers, which reference counting frees: looking for cycles costs a fifth.
    gc.set_threshold(200_000, 20, 20)
    try:
        settings = load_settings()
        spark = spark_session(settings, "lakehouse stream", ui_port=settings.port("spark_ui"))
        driver = Driver(spark, settings)
        serve(settings, driver.audit, driver.lake.jvm)
        driver.run()
        spark.stop()
    except LakehouseError as error:
        structlog.get_logger().error("the streaming job cannot run", error=str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
