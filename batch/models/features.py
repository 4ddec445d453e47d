"""The inputs that both models' features need, and the features themselves as Spark computes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from batch.models.calendar import HOUR, Span, calendar

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SQL = Path(__file__).parent
HISTORY = timedelta(days=400)
"""Features begin at most so long before the end of an origin: a year to learn from, and what its means need."""


def spans(spark: SparkSession, now: datetime, history: timedelta) -> dict[str, Span]:
    """The hours of each origin in view `trips`, at most `history` of them.

    The mirror's trips are known until `now`, TLC's until the last one.
    """
    running = now.replace(minute=0, second=0, microsecond=0)
    found = {}
    for row in spark.sql(statement("trip_spans")).collect():
        first, last = (time.replace(tzinfo=UTC) for time in (row["first_hour"], row["last_hour"]))
        known_until = running if row["origin"] == "cdc" else last + HOUR
        found[row["origin"]] = Span(row["origin"], max(first, known_until - history), known_until)
    return found


def compute(spark: SparkSession, name: str, span: Span) -> DataFrame:
    """The rows of this package's `name.sql` for one origin."""
    spark.createDataFrame(calendar([span])).createOrReplaceTempView("calendar")
    return spark.sql(statement(name))


def statement(name: str) -> str:
    """The text of this package's `name.sql`."""
    return (SQL / f"{name}.sql").read_text()
