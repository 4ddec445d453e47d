"""Brings hours into weather.hourly_weather: in one commit, made anew when another run was quicker."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from batch.loading import ensure_table
from catalog.errors import ComponentError
from catalog.settings import CATALOG
from catalog.tables.weather import HOURLY_WEATHER

MERGE = Path(__file__).with_name("hourly_weather.sql")
ATTEMPTS = 10
_OVERTAKEN = ("ValidationException", "CommitFailedException")
"""Iceberg's refusals of a commit that was made from an older state; nothing of it is visible."""


def merge(spark: SparkSession, rows: pa.Table) -> int:
    """Merge rows of the table by hourly_weather.sql; the id of the table's snapshot after it.

    Rows that the table holds as they are make no commit.
    """
    table = f"{CATALOG}.{HOURLY_WEATHER.identifier}"
    ensure_table(spark, HOURLY_WEATHER)
    hours = pc.min_max(rows["observed_at"])
    first, last = hours["min"].as_py(), hours["max"].as_py()
    held = spark.table(table).where(F.col("observed_at").between(first, last)).select(*rows.column_names)
    new = spark.createDataFrame(rows).subtract(held).toArrow()
    if new.num_rows:
        # without the way it came: Spark does not plan a merge whose source was made from its target
        spark.createDataFrame(new).createOrReplaceTempView("candidate")
        _commit(spark, {"first": first, "last": last})
    snapshots = spark.table(f"{table}.refs").where("name = 'main'").select("snapshot_id")
    return int(snapshots.first()["snapshot_id"])


def _commit(spark: SparkSession, arguments: dict[str, datetime]) -> None:
    again = Retrying(
        retry=retry_if_exception(_overtaken),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_attempt(ATTEMPTS),
    )
    try:
        again(spark.sql, MERGE.read_text(), args=arguments)
    except RetryError as given_up:
        raise ComponentError(
            f"{HOURLY_WEATHER.identifier} could not be written: others were quicker {ATTEMPTS} times",
            remedy="run the step again",
        ) from given_up


def _overtaken(error: BaseException) -> bool:
    return isinstance(error, Py4JJavaError) and error.java_exception.getClass().getSimpleName() in _OVERTAKEN
