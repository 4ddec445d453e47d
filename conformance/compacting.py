"""`python -m conformance.compacting SINCE TABLE…`: what a foreign Spark does to tables to tidy them up, in one go.

Data files and manifests are rewritten, snapshots from before SINCE (ms since 1970) expired, so that summaries that hold
positions are gone. What the stream's commits come before is tried again; data files that it keeps changing are left.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from catalog.session import spark_session
from catalog.settings import CATALOG, load_settings

ATTEMPTS = 8
REWRITE = {
    "rewrite-all": "true",
    "max-file-group-size-bytes": "1",  # every file on its own: of those together, one that changes refuses all
    "partial-progress.enabled": "true",
    "partial-progress.max-commits": "100",
    "partial-progress.max-failed-commits": "100",
}


def tidy_up(spark: SparkSession, table: str, since: datetime) -> int:
    """The number of data files that were rewritten. Ends the program when even the last attempt was refused."""
    until = f"timestamp '{since:%Y-%m-%d %H:%M:%S.%f}'"
    options = ", ".join(f"'{name}', '{value}'" for name, value in REWRITE.items())
    done = _tried(spark, f"rewrite_data_files(table => '{table}', options => map({options}))")
    _tried(spark, f"rewrite_manifests(table => '{table}')")
    _tried(spark, f"expire_snapshots(table => '{table}', older_than => {until}, retain_last => 2)")
    return int(done["rewritten_data_files_count"])


def _tried(spark: SparkSession, procedure: str) -> Any:
    said = ""
    for _ in range(ATTEMPTS):
        try:
            return spark.sql(f"call {CATALOG}.system.{procedure}").collect()[0]
        except (PySparkException, Py4JJavaError) as refused:
            said = str(refused)[:500]
    sys.exit(f"{procedure}: {ATTEMPTS} attempts were refused, the last: {said}")


if __name__ == "__main__":
    session = spark_session(load_settings(), "compaction", driver_memory="1g")
    before = datetime.fromtimestamp(int(sys.argv[1]) / 1000, UTC)
    rewritten = sum([tidy_up(session, each, before) for each in sys.argv[2:]])
    session.stop()
    if not rewritten:
        sys.exit("no data file was rewritten")
