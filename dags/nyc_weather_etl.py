"""Hourly weather of New York, its places and the taxi zones: `weather.*` and `reference.taxi_zones`.

The first run loads all of 2019, later ones their own hours. Without a network the hours come from the daily record of
Central Park that ships, and are marked `derived` in the table.

**When a task fails** its log ends with what is wrong and what to do; `lake quality` shows what the rules found. A
service that does not answer is asked again after growing pauses.
"""

from datetime import UTC, datetime

from airflow.sdk import CronDataIntervalTimetable, chain, dag

from dags.steps import DEFAULTS, NETWORK, asset, here, submitted


@dag(
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["batch"],
)
def nyc_weather_etl() -> None:
    """Fetch, validate, publish."""
    fetch = here(
        "fetch_weather",
        "weather fetch",
        doc_md="Asks the weather service, or reads the record that ships, and keeps the answers as they came.",
        **NETWORK,
    )
    locations = here("create_locations", "weather locations", doc_md="The places with weather, and the taxi zones.")
    validate = submitted(
        "validate",
        "weather validate",
        doc_md="Checks units, ranges and that no hour is missing; what cannot be accepted goes to the quarantine.",
    )
    weather = submitted(
        "weather_to_iceberg",
        "weather load",
        outlets=[asset("weather.hourly_weather")],
        doc_md="Publishes the hours, whole days in one commit.",
    )
    places = submitted(
        "location_to_iceberg",
        "weather load-locations",
        outlets=[asset("weather.locations"), asset("reference.taxi_zones")],
        doc_md="Publishes the places and the zones.",
    )
    chain([fetch, locations], validate, [weather, places])


nyc_weather_etl()
