"""Trips and weather together: `analytics.*`, and the features and predictions of `ml.*`.

Runs when both `nyc_taxi.trips` and `weather.hourly_weather` were written anew, and whenever it is triggered. It waits,
without holding a worker, until its sources exist.

`realtime_cdc` looks how fresh the streaming tables are and fails when they are stale; it writes nothing. Start the
stream with `lake up`, or see `lake status`, then clear the task.

**Parameter** `train`: `yes` fits the models anew; otherwise that happens when there is none.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, chain, dag

from dags.steps import DEFAULTS, NETWORK, TableSensor, asset, here, submitted

SOURCES = ("nyc_taxi.trips", "weather.hourly_weather", "reference.taxi_zones")


@dag(
    schedule=[asset("nyc_taxi.trips"), asset("weather.hourly_weather")],
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    catchup=False,
    # the next run reads what has come meanwhile: two at once would compute the same
    max_active_runs=1,
    default_args=DEFAULTS,
    params={"train": Param("no", enum=["no", "yes"], description="fit the models anew")},
    doc_md=__doc__,
    tags=["batch"],
)
def comprehensive_analytics_pipeline() -> None:
    """Wait, look, compute, predict."""
    wait = TableSensor.partial(
        task_id="wait_for_sources",
        poke_interval=10,
        timeout=1800,
        map_index_template="{{ task.table }}",
        doc_md="One for each source: deferred until the REST catalog knows the table.",
        **NETWORK,
    ).expand(table=SOURCES)
    available = here("check_availability", "analytics available", doc_md="Which sources have rows, and for what time.")
    transform = submitted("analytics_transform", "analytics transform", doc_md="Computes the tables of `analytics`.")
    realtime = here("realtime_cdc", "analytics realtime", doc_md="Fails when a streaming table is stale or stopped.")
    features = submitted(
        "ml_features",
        "models features",
        "train={{ params.train }}",
        "now={{ dag_run.run_after.isoformat() }}",
        minutes=120,
        doc_md="Features, models where there are none, and the predictions of the next 24 hours.",
    )
    chain(wait, available, [transform, realtime], features)


comprehensive_analytics_pipeline()
