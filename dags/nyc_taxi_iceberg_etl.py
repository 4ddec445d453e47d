"""Taxi trips, month by month, from the published files to `nyc_taxi.trips`.

Every six hours it looks which months of the source are new or were published again, and loads those; each replaces
itself as a whole, so a run may be repeated, cleared or run beside another.

**Parameter** `months`: `2019-01,2019-02` loads these, whatever was loaded before. Empty: what is new or has changed.
A backfill loads the months that its interval touches.

**When a task fails** its log ends with what is wrong and what to do. Rows that cannot be accepted are in
`control.quarantine` with their reasons, what the rules found is in `control.quality_results` (`lake quality`), and each
run is in `control.batch_runs`.
"""

from datetime import UTC, datetime

from airflow.sdk import CronDataIntervalTimetable, Param, chain, dag

from dags.steps import DEFAULTS, NETWORK, asset, here, submitted

MONTHS = r"^(\d{4}-\d{2}(,\d{4}-\d{2})*)?$"


@dag(
    schedule=CronDataIntervalTimetable("0 */6 * * *", timezone="UTC"),
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    default_args=DEFAULTS,
    params={"months": Param("", type="string", pattern=MONTHS, description="2019-01,2019-02; empty: what is new")},
    doc_md=__doc__,
    tags=["batch"],
)
def nyc_taxi_iceberg_etl() -> None:
    """Extract, validate, publish, record."""
    chain(
        here(
            "extract_taxi_data",
            "taxi extract",
            "months={{ params.months }}",
            minutes=120,
            doc_md="Finds the months to load and keeps their bytes as they came, with checksum and origin.",
            **NETWORK,
        ),
        submitted(
            "validate_data",
            "taxi validate",
            doc_md="Reads each file by its own schema and splits it: accepted and quarantined rows make up the input.",
        ),
        submitted(
            "process_to_iceberg",
            "taxi load",
            outlets=[asset("nyc_taxi.trips")],
            doc_md="Publishes each month in one commit: nobody sees half a month.",
        ),
        # as a teardown it runs after a failure too, and leaves the run failed
        here(
            "update_control_table",
            "taxi record",
            doc_md="Writes what became of each month to `control.batch_runs`, also when a task before it failed.",
        ).as_teardown(on_failure_fail_dagrun=True),
    )


nyc_taxi_iceberg_etl()
