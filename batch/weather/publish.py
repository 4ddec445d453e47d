"""Brings hours into weather.hourly_weather: in one commit, made anew when another run was quicker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from batch.loading import ensure_table
from catalog.settings import CATALOG
from catalog.tables.weather import HOURLY_WEATHER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MERGE = Path(__file__).with_name("hourly_weather.sql")
_OVERTAKEN = ("ValidationException", "CommitFailedException")
"""Iceberg's refusals of a commit that was made from an older state; nothing of it is visible."""


def merge(rows: DataFrame) -> int:
    """Merge rows of the table by hourly_weather.sql; the id of the table's snapshot after it."""
    spark = rows.sparkSession
    ensure_table(spark, HOURLY_WEATHER)
    rows.createOrReplaceTempView("candidate")
    again = Retrying(
        retry=retry_if_exception(_overtaken),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_attempt(10),
        reraise=True,
    )
    again(spark.sql, MERGE.read_text())
    table = f"{CATALOG}.{HOURLY_WEATHER.identifier}"
    snapshots = spark.table(f"{table}.refs").where("name = 'main'").select("snapshot_id")
    return int(snapshots.first()["snapshot_id"])


def _overtaken(error: BaseException) -> bool:
    return isinstance(error, Py4JJavaError) and error.java_exception.getClass().getSimpleName() in _OVERTAKEN
