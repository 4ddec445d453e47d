"""The API as a process, its client, and small tables of the declared shapes where the lake has none of its own."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from batch.weather.zones import LOOKUP, SHAPES
from batch.weather.zones import zones as zones_of_tlc
from bench.process import Api, api_process
from bench.served import has
from catalog.readers import iceberg_catalog
from catalog.tables import TABLES
from catalog.tables.realtime import weeks_before
from serving.client import LakehouseClient

QUESTIONS = {
    "/api/v1/trips/recent": "taxi_cdc.trips",
    "/api/v1/analytics/zones": "analytics.zone_performance_metrics",
    "/api/v1/analytics/weather-impact": "analytics.trip_weather_correlation",
    "/api/v1/predictions/demand": "ml.demand_prediction_features",
    "/api/v1/realtime/activity": "realtime.zone_activity",
    "/api/v1/quality": "control.quality_results",
}
"""Addresses by the table that they need."""
NOW = datetime.now(UTC)
HOUR = NOW.replace(minute=0, second=0, microsecond=0)
TODAY = date(2026, 11, 20)
WEEKS = 30
"""By which predictions of TLC's trips are moved to the present, across a change of the clocks."""


def rows_of_tables() -> dict[str, list[dict[str, Any]]]:
    """Rows by table: two origins, several zones, predictions made twice, rules that passed and one that did not."""
    predictions = [
        {"origin": "cdc" if zone < 50 else "tlc", "shift_weeks": 0 if zone < 50 else WEEKS,
         "location_id": zone, "prediction_hour": HOUR + timedelta(hours=ahead),
         "predicted_demand": zone / 100 + made, "lower": 0.0, "upper": 3.0, "weather_impact_factor": 1.0,
         "confidence_score": None, "weather_derived": True,
         "model_version": f"v{made}", "made_at": HOUR - timedelta(hours=2 - made)}
        for zone in range(1, 61) for ahead in range(-1, 26) for made in (0, 1)
    ]  # fmt: skip
    came = [
        {"origin": "cdc" if zone < 50 else "tlc", "location_id": zone, "pickups": zone % 5,
         "hour": HOUR - timedelta(hours=1) if zone < 50 else weeks_before(HOUR - timedelta(hours=1), WEEKS)}
        for zone in range(1, 61)
    ]  # fmt: skip
    zones = [
        {"origin": origin, "trip_date": TODAY - timedelta(days=day), "location_id": zone, "zone_name": f"zone {zone}",
         "borough": "Queens" if zone % 2 else "Bronx", "total_pickups": day * zone, "total_revenue": Decimal(zone) / 4,
         "avg_fare_per_pickup": None, "peak_hour_factor": 1.5, "weather_impact_score": 0.25, "wet_hours": 1,
         "weather_derived": origin == "cdc"}
        for origin in ("cdc", "tlc") for day in range(4) for zone in range(1, 8)
    ]  # fmt: skip
    weather = [
        {"origin": origin, "hour": HOUR - timedelta(hours=n), "weather_condition": ("rain", "clear", None)[n % 3],
         "total_trips": n * n, "avg_fare_amount": 10.0 + n, "avg_trip_distance": 2.5, "temperature_celsius": 20.0 - n,
         "precipitation_mm": 0.1 * (n % 3), "weather_derived": True}
        for origin in ("cdc", "tlc") for n in range(24)
    ]  # fmt: skip
    results = [
        {"run_id": f"dag/{run}", "dataset": "nyc_taxi.trips", "interval": "2019-01", "rule": rule, "severity": "error",
         "rows": 10, "breaches": int((rule, run) == ("b", 2)), "passed": (rule, run) != ("b", 2), "tolerance": 0.0,
         "sample": None, "checked_at": NOW - timedelta(hours=3 - run)}
        for rule in "ab" for run in (1, 2)
    ]  # fmt: skip
    runs = [
        {"run_id": f"dag/{run}", "dataset": "nyc_taxi.trips", "interval": "2019-01", "source": "file", "rows_in": 10,
         "accepted": 9, "quarantined": 1, "status": "success", "started_at": NOW,
         "finished_at": NOW + timedelta(seconds=run)}
        for run in (1, 2)
    ]  # fmt: skip
    shapes = {row["location_id"]: row["shape"] for row in zones_of_tlc(LOOKUP.read_bytes(), SHAPES.read_bytes())}
    names = [
        {"location_id": zone, "zone": f"zone {zone}", "borough": "Queens", "service_zone": "Boro Zone", "shape": shape}
        for zone, shape in shapes.items()
    ]
    return {
        "ml.demand_prediction_features": predictions,
        "analytics.demand_prediction_features": came,
        "analytics.zone_performance_metrics": zones,
        "analytics.trip_weather_correlation": weather,
        "control.quality_results": results,
        "control.batch_runs": runs,
        "reference.taxi_zones": names,
    }


def add_rows(catalog: Catalog, name: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Add rows to a table, which is made where it is missing."""
    catalog.create_namespace_if_not_exists(name.split(".")[0])
    table = catalog.create_table_if_not_exists(name, schema)
    table.append(pa.Table.from_pylist(list(rows), schema))


def declared(name: str) -> pa.Schema:
    """The Arrow schema of a declared table."""
    (table,) = (each for each in TABLES if each.identifier == name)
    return pa.schema([(column.name, _arrow(column.type)) for column in table.columns])


def _arrow(kind: str) -> pa.DataType:
    if kind.startswith("decimal"):
        precision, scale = kind.removeprefix("decimal(").rstrip(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return {
        "string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
        "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"), "timestamp_ntz": pa.timestamp("us"),
    }[kind]  # fmt: skip


@pytest.fixture(scope="module")
def catalog(stack) -> Any:
    """The REST catalog, once the lake holds the trips and their activity."""
    stack.until(lambda: stack.table("public.trips").get("rows", 0) >= stack.trips_before_the_copy, "the trips' copy")
    stack.until(lambda: stack.status()["realtime"]["state"] == "running", "the real-time tables follow")
    return iceberg_catalog(stack.settings)


@pytest.fixture(scope="module")
def api(settings, catalog) -> Iterator[Api]:
    """The API as a process."""
    with api_process(settings, rate="100000/minute") as running:
        yield running


@pytest.fixture(scope="module")
def http(api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.address, headers={"Authorization": f"Bearer {api.key}"}, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def empty(http, catalog) -> dict[str, dict[str, Any]]:
    """What is said of tables that the lake has not, before they are made."""
    there = {".".join(name) for (space,) in catalog.list_namespaces() for name in catalog.list_tables(space)}
    return {table: http.get(path).json() for path, table in QUESTIONS.items() if table not in there}


@pytest.fixture(scope="module", autouse=True)
def tables(empty, catalog, http, stack) -> Iterator[None]:
    """The tables of the batch half: those that the lake has, or small ones that are taken away again.

    The API may not know of them for some seconds: it was asked before.
    """
    made = []

    def known() -> bool:
        (trip,) = http.get("/api/v1/trips/recent", params={"limit": 1}).json()["data"]
        paths = [f"/api/v1/tables/{name.replace('.', '/')}" for name in rows_of_tables()]
        return trip["pickup_zone"] is not None and all("etag" in http.get(path).headers for path in paths)

    try:
        for name, rows in rows_of_tables().items():
            if not has(catalog, name):
                made.append(name)
                add_rows(catalog, name, rows, declared(name))
        stack.until(known, "the API knows the tables")
        yield
    finally:
        for name in made:
            catalog.purge_table(name)


@pytest.fixture(scope="module")
def client(api, tables) -> Iterator[LakehouseClient]:
    with LakehouseClient(api.address, api.key) as opened:
        yield opened


@pytest.fixture(scope="module")
def write(catalog, http, stack) -> Iterator[Callable[..., None]]:
    """Adds rows to tables of the tests' own, and waits until the API shows them."""
    names = set()

    def add(name: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
        names.add(name)
        add_rows(catalog, name, rows, schema)
        path, written = f"/api/v1/tables/{name.replace('.', '/')}", catalog.load_table(name).current_snapshot()
        stack.until(lambda: str(written.snapshot_id) in http.get(path).text, "the API shows the rows")

    yield add
    for name in names:
        catalog.purge_table(name)


@pytest.fixture(scope="module")
def rows_at(catalog) -> Callable[[str, str], list[dict[str, Any]]]:
    """A table's rows at a snapshot, by pyiceberg."""
    return lambda name, snapshot: catalog.load_table(name).scan(snapshot_id=int(snapshot)).to_arrow().to_pylist()
