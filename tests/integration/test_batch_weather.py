"""Weather and zones from raw input to the tables, written by Spark and read by DuckDB."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from batch.job import Job, Run
from batch.steps import run as run_step
from batch.weather import fetching, plan
from batch.weather.openmeteo import VARIABLES
from batch.weather.places import PLACES
from batch.weather.plan import HISTORY
from catalog.errors import BatchError, QualityError
from catalog.files import s3_files

STEPS = ("fetch", "locations", "validate", "load", "load-locations")
HOUR = timedelta(hours=1)
AIRPORTS = PLACES[5:7]
"""So that the hours of Central Park stay the record's for whoever else uses the stack."""


@pytest.fixture(scope="module")
def steps(stack, spark) -> Callable[..., dict[str, dict[str, Any]]]:
    """Runs steps of one run, as the DAG does; their results by name. Keywords that Run does not have are settings."""

    def go(run: str, *names: str, own_session: bool = False, **given: Any) -> dict[str, dict[str, Any]]:
        interval = {name: given.pop(name) for name in ("interval_start", "interval_end") if name in given}
        results = {}
        for name in names:
            job = Job(stack.settings.model_copy(update=given), Run(run, **interval), f"weather {name}")
            if own_session:
                job.__dict__["spark"] = spark.newSession()  # temporary views of its own, as a process has
            results[name] = run_step(job)
        return results

    return go


@pytest.fixture(scope="module")
def midnight() -> datetime:
    """Begin of a day among the replayed trips that nobody else loads weather for."""
    day = datetime.now(UTC) - timedelta(days=200)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def runs(midnight) -> dict[str, dict[str, datetime]]:
    """Two neighbouring hourly runs, which load the same three days."""
    ends = {f"test/{uuid4().hex}": midnight + hours * HOUR for hours in (5, 6)}
    return {run: {"interval_start": end - HOUR, "interval_end": end} for run, end in ends.items()}


@pytest.fixture(scope="module")
def loaded(stack, steps, runs) -> dict[str, Any]:
    """What the steps of both runs returned, from the record that ships."""
    stack.until(lambda: stack.lake_rows("select count(*) from taxi_cdc.trips")[0][0] > 0, "trips are in the mirror")
    return {run: steps(run, *STEPS, **interval) for run, interval in runs.items()}


def own_days(midnight: datetime) -> str:
    return f"observed_at >= timestamp '{midnight}' and observed_at < timestamp '{midnight + 72 * HOUR}'"


def test_all_of_2019_and_the_runs_own_days_are_there_and_marked_derived(stack, loaded, midnight):
    assert stack.lake_rows(
        "select count(*), count(distinct observed_at), bool_and(derived), min(temperature_celsius),"
        " max(temperature_celsius), count(shift_weeks), count(humidity) from iceberg.weather.hourly_weather"
        " where location_id = 1 and year(observed_at) = 2019"
    ) == [(8760, 8760, True, -16.67, 35.0, 0, 0)]
    assert stack.lake_rows(
        "select count(*), count(distinct observed_at), bool_and(derived), min(shift_weeks) > 300, count(forecast_at)"
        f" from iceberg.weather.hourly_weather where {own_days(midnight)}"
    ) == [(72, 72, True, True, 72 - 6)]


def test_a_moved_day_is_its_day_in_the_record(stack, loaded):
    compared = stack.lake_rows("""
        with days as (
            select date_trunc('day', observed_at at time zone 'America/New_York') as day, shift_weeks,
                min(temperature_celsius) as low, max(temperature_celsius) as high,
                round(sum(precipitation_mm), 6) as rain, min(wind_speed_kmh) as wind
            from iceberg.weather.hourly_weather where derived group by all having count(*) >= 23
        )
        select (m.low, m.high, m.rain, m.wind) is not distinct from (r.low, r.high, r.rain, r.wind)
        from days as m join days as r
        on r.shift_weeks is null and r.day = m.day - to_days(cast(7 * m.shift_weeks as integer))
    """)
    assert len(compared) >= 2
    assert all(same for (same,) in compared)


def hours_hash(stack, midnight: datetime) -> list[tuple[Any, ...]]:
    """How many hours the own days have, and a number that depends on every value of them."""
    return stack.lake_rows(
        f"select count(*), bit_xor(hash(held)) from iceberg.weather.hourly_weather as held where {own_days(midnight)}"
    )


def test_runs_may_come_again_backwards_and_at_once(stack, spark, steps, loaded, runs, midnight):
    before = hours_hash(stack, midnight)
    spark.sql(f"delete from iceberg.weather.hourly_weather where {own_days(midnight)}")
    for run in reversed(runs):
        steps(run, "load", **runs[run])
    assert hours_hash(stack, midnight) == before
    spark.sql(f"delete from iceberg.weather.hourly_weather where {own_days(midnight)}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: steps(run, "load", own_session=True, **runs[run]), runs))
    assert hours_hash(stack, midnight) == before
    again = [steps(run, "load", **runs[run])["load"]["snapshots"] for run in runs]
    assert len({snapshot for snapshots in again for snapshot in snapshots.values()}) == 1


def test_zones_and_places_are_whole(stack, loaded):
    assert stack.lake_rows(
        "select count(*), count(distinct location_id), count(shape), count(centroid_latitude),"
        " count(centroid_longitude) from iceberg.reference.taxi_zones"
    ) == [(265, 265, 260, 260, 260)]
    assert stack.lake_rows("select location_id, name from iceberg.weather.locations order by 1") == [
        (place.location_id, place.name) for place in PLACES
    ]


def test_each_interval_is_in_the_control_tables(stack, loaded):
    for run, results in loaded.items():
        rows = stack.lake_rows(
            "select dataset, interval, status, rows_in = accepted + quarantined, snapshot_id is not null"
            f" from iceberg.control.batch_runs where run_id = '{run}'"
        )
        loads = {("weather.hourly_weather", interval) for interval in results["load"]["snapshots"]}
        loads |= {(table, "whole") for table in ("weather.locations", "reference.taxi_zones")}
        assert set(rows) == {(*load, "success", True, True) for load in loads}
        query = "select bool_and(passed), count(distinct dataset) from iceberg.control.quality_results"
        assert stack.lake_rows(f"{query} where run_id = '{run}'") == [(True, 3)]


class Api:
    """Open-Meteo's shape on loopback: the same `temperature` everywhere after `nulls` hours without; or a `page`."""

    def __init__(self) -> None:
        self.temperature, self.nulls, self.page = 10.0, 0, b""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(api.page or api.body(parse_qs(urlsplit(self.path).query)))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.settings = {
            "weather_source": "open-meteo",
            "weather_archive_url": f"{url}/archive",
            "weather_forecast_url": f"{url}/forecast",
        }

    def body(self, query: dict[str, list[str]]) -> bytes:
        first, last = (datetime.fromisoformat(query[name][0]) for name in ("start_date", "end_date"))
        count = ((last - first).days + 1) * 24
        temperatures = [None] * self.nulls + [self.temperature] * (count - self.nulls)
        values = [[first + number * HOUR for number in range(count)], temperatures]
        values += [[number] * count for number in (55, 9.5, 0.0, 2)]
        names, units = ("time", *VARIABLES), ("iso8601", "°C", "%", "km/h", "mm", "wmo code")
        answer = {"utc_offset_seconds": 0, "hourly_units": dict(zip(names, units, strict=True))}
        answer["hourly"] = dict(zip(names, values, strict=True))
        places = zip(query["latitude"][0].split(","), query["longitude"][0].split(","), strict=True)
        answers = [answer | {"latitude": float(north), "longitude": float(east)} for north, east in places]
        return json.dumps(answers, default=lambda at: at.isoformat(timespec="minutes")).encode()


@pytest.fixture
def api(monkeypatch) -> Iterator[Api]:
    monkeypatch.setattr(fetching, "PLACES", AIRPORTS)
    monkeypatch.setattr(fetching, "HISTORY", HISTORY.model_copy(update={"last": HISTORY.first}))
    server = Api()
    yield server
    server.server.shutdown()
    server.server.server_close()


def airports(stack, midnight: datetime, snapshot: int | None = None) -> list[tuple[Any, ...]]:
    """By place: temperature, whether forecast, hours, answers that they come from, and those answers' SHA-256."""
    version = f" at (version => {snapshot})" if snapshot else ""
    return stack.lake_rows(
        "select location_id, temperature_celsius, forecast_at is not null as ahead, count(*), count(distinct fetch_id),"
        f" list(distinct fetch_id order by fetch_id) from iceberg.weather.hourly_weather{version}"
        f" where not derived and {own_days(midnight)} group by 1, 2, 3 order by 1, 3"
    )


def test_measured_hours_replace_what_was_forecast_and_what_is_revised(stack, steps, api, monkeypatch):
    week_ago, run = datetime.now(UTC) - timedelta(days=8), f"test/{uuid4().hex}"
    midnight = week_ago.replace(hour=0, minute=0, second=0, microsecond=0)
    interval = {"interval_start": midnight, "interval_end": midnight + 24 * HOUR, **api.settings}
    first = steps(run, *STEPS[:4], **interval)
    inputs = [each for piece in first["fetch"]["pieces"] for each in piece["inputs"]]
    assert [each["question"]["url"].rsplit("/")[-1] for each in inputs] == ["archive", "archive", "forecast"]
    rows = airports(stack, midnight)
    assert [row[:5] for row in rows] == [
        (place, 10.0, ahead, 24 * days, 1 + ahead) for place in (6, 7) for ahead, days in ((False, 1), (True, 2))
    ]

    monkeypatch.setattr(plan, "HOURS_OF_2019", 0)
    api.temperature = 12.5
    revised = steps(run, "fetch", "validate", "load", **interval)
    assert [row[:4] for row in airports(stack, midnight)] == [(row[0], 12.5, *row[2:4]) for row in rows]
    (own,) = revised["load"]["snapshots"]
    assert airports(stack, midnight, first["load"]["snapshots"][own]) == rows
    kept = {each["landed"]["sha256"] for each in inputs}
    assert {digest for row in rows for digest in row[5]} <= kept
    assert not {digest for row in airports(stack, midnight) for digest in row[5]} & kept


def test_a_refused_answer_is_kept(stack, steps, api):
    api.page, run = b"<html>Sign in</html>", f"test/{uuid4().hex}"
    with pytest.raises(BatchError, match=r"not JSON.*Sign in"):
        steps(run, "fetch", **api.settings)
    query = f"select status, message from iceberg.control.batch_runs where run_id = '{run}'"
    ((status, message),) = stack.lake_rows(query)
    assert status == "failed" and "Sign in" in message
    kept = message.split("kept as s3://")[1].split(": the answer")[0]
    assert s3_files(stack.settings).open_input_stream(kept).read() == api.page


def test_too_many_hours_without_a_value_fail_the_run_and_are_in_the_quarantine(stack, steps, api, monkeypatch):
    monkeypatch.setattr(plan, "HOURS_OF_2019", 0)
    api.nulls = 9
    run = f"test/{uuid4().hex}"
    with pytest.raises(QualityError, match="few rows are set aside"):
        steps(run, *STEPS, **api.settings)
    ((interval,),) = stack.lake_rows(
        f"select interval from iceberg.control.quality_results where run_id = '{run}' and not passed"
    )
    assert stack.lake_rows(
        "select count(*), count(distinct source_row) from iceberg.control.quarantine where dataset ="
        f" 'weather.hourly_weather' and interval = '{interval}' and reason like '%no temperature%'"
    ) == [(18, 18)]
    with pytest.raises(BatchError, match="no result of its step weather validate"):
        steps(run, "load", **api.settings)
