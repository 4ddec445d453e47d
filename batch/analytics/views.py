"""The inputs that analytics and models share, as temporary views of the job's Spark session: trips, weather_hours."""

from __future__ import annotations

from pathlib import Path

from batch.job import Job
from batch.shift import replay_shift
from catalog.errors import BatchError

SQL = Path(__file__).parent
ORIGINS = {"tlc": "nyc_taxi.trips", "cdc": "taxi_cdc.trips"}
"""The table that holds each origin's trips."""
WEATHER = "weather.hourly_weather"


def create_views(job: Job) -> list[str]:
    """Make the views and return the origins that have a table, `tlc` first.

    Raises BatchError when there are no trips at all, or no weather.
    """
    spark = job.spark
    present = [origin for origin, table in ORIGINS.items() if spark.catalog.tableExists(table)]
    if not present or not spark.catalog.tableExists(WEATHER):
        raise BatchError(
            f"{' or '.join(ORIGINS.values())}, and {WEATHER}, must exist before anything is computed from them",
            remedy="run the DAGs nyc_taxi_iceberg_etl and nyc_weather_etl first",
        )
    for origin in present:
        spark.sql(statement(f"{origin}_trips")).createOrReplaceTempView(f"{origin}_trips")
    for origin in ORIGINS.keys() - present:
        spark.table(f"{present[0]}_trips").where("false").createOrReplaceTempView(f"{origin}_trips")
    spark.sql(statement("trips")).createOrReplaceTempView("trips")
    weather = spark.sql(statement("weather_hours"), args={"shift_weeks": replay_shift(job.settings)})
    weather.createOrReplaceTempView("weather_hours")
    return present


def statement(name: str) -> str:
    """The text of this package's `name.sql`."""
    return (SQL / f"{name}.sql").read_text()
