"""`python -m conformance.compacting SINCE TABLE…`: what a foreign Spark does to tables to tidy them up, in one go.

Data files and manifests are rewritten, snapshots from before SINCE (ms since 1970) expired, so that summaries that hold
positions are gone. What the stream's commits come before is tried again.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from catalog.session import spark_session
from catalog.settings import CATALOG, load_settings

ATTEMPTS = 5


def tidy_up(spark: SparkSession, table: str, since: datetime) -> None:
    """Raises PySparkException when even the last attempt was refused."""
    call, until = f"call {CATALOG}.system", f"timestamp '{since:%Y-%m-%d %H:%M:%S.%f}'"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            spark.sql(f"{call}.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))").collect()
            spark.sql(f"{call}.rewrite_manifests(table => '{table}')").collect()
            spark.sql(f"{call}.expire_snapshots(table => '{table}', older_than => {until}, retain_last => 2)").collect()
            return
        except PySparkException as refused:
            sys.stderr.write(f"{table}, attempt {attempt}: {str(refused)[:300]}\n")
            if attempt == ATTEMPTS:
                raise


if __name__ == "__main__":
    session = spark_session(load_settings(), "compaction", driver_memory="1g")
    for each in sys.argv[2:]:
        tidy_up(session, each, datetime.fromtimestamp(int(sys.argv[1]) / 1000, UTC))
    session.stop()
