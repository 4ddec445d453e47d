"""A landed month split in two: the rows that are published, and those that are set aside with a reason."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files as package_files
from typing import TYPE_CHECKING

import numpy as np

from batch.job import Job
from batch.taxi.months import Month
from batch.taxi.tlc_file import TlcFile, raw_rows, typed_rows
from catalog.files import s3_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRANSFORM = package_files("batch.taxi").joinpath("trips.sql")


def judged(job: Job, file: TlcFile, month: Month) -> DataFrame:
    """Every row of the file as a row of nyc_taxi.trips, and its `reason`, null where it is published."""
    typed_rows(job.spark, s3_files(job.settings), file).createOrReplaceTempView("tlc_rows")
    arguments = {"source_file": file.name, "month": month.first_day}
    return job.spark.sql(TRANSFORM.read_text(), args=arguments)


def accepted(rows: DataFrame) -> DataFrame:
    """The judged rows that are published."""
    return rows.where("reason is null").drop("reason")


def set_aside(job: Job, file: TlcFile, rows: DataFrame) -> tuple[dict[str, int], DataFrame]:
    """How many judged rows are not published, by reason, and these rows for the quarantine, as the file has them."""
    reasons = rows.where("reason is not null").select("source_row", "reason").toArrow()
    wanted = np.asarray(reasons["source_row"], np.int64)
    raw = raw_rows(job.spark, s3_files(job.settings), file, wanted)
    named = job.spark.createDataFrame(reasons).join(raw, "source_row", "inner")
    return Counter(reasons["reason"].to_pylist()), named.selectExpr(
        f"'{file.name}' as source", "source_row", "reason", "raw"
    )
