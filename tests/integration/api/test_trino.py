"""The API with Trino as its engine answers as it does with DuckDB; pyiceberg says what pages should hold."""

import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest

from bench.process import api_process
from catalog.settings import PROJECT
from serving.api.heads import Heads
from serving.api.lake import Lake
from serving.api.metrics import Metrics
from serving.api.problems import ProblemError
from serving.api.questions import Asked, Order, Question

TRIPS = "/api/v1/tables/taxi_cdc/trips"
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/v1/dashboard/stats", {"hours": 24 * 14}),
    ("/api/v1/dashboard/series", {"hours": 24 * 14, "limit": 400}),
    ("/api/v1/trips/recent", {"limit": 50}),
    ("/api/v1/trips/recent", {"location_id": 161, "since": "2026-01-01T00:00:00.5-05:00"}),
    ("/api/v1/analytics/zones", {"limit": 300}),
    ("/api/v1/analytics/zones", {"origin": "tlc", "since": "2019-02-03", "until": "2026-11-19", "borough": "Queens"}),
    ("/api/v1/analytics/weather-impact", {}),
    ("/api/v1/analytics/weather-impact", {"since": "2020-01-01", "until": "2026-11-21"}),
    ("/api/v1/predictions/demand", {"limit": 200}),
    ("/api/v1/predictions/demand", {"location_id": 7}),
    ("/api/v1/predictions/accuracy", {}),
    ("/api/v1/realtime/activity", {}),
    ("/api/v1/quality", {"severity": "error", "passed": "true"}),
    (TRIPS, {"order_by": "-trip_id", "columns": "trip_id,updated_at,total_amount,extra", "limit": 50}),
    (TRIPS, {"where": ["payment_type:in:1,2", "note:null", "tip_amount:gt:2.5"], "order_by": "trip_id"}),
    (
        "/api/v1/tables/realtime/trip_aggregations",
        {"where": ["zone_id:eq:161", "window_size:eq:1 hour"], "order_by": "window_end"},
    ),
    ("/api/v1/tables/reference/taxi_zones", {"order_by": "location_id", "columns": "location_id,zone,borough"}),
)
KINDS = pa.schema(
    [
        ("id", pa.int64()), ("Name", pa.string()), ("flag", pa.bool_()), ("small", pa.int32()), ("half", pa.float32()),
        ("whole", pa.float64()), ("money", pa.decimal128(10, 2)), ("day", pa.date32()), ("clock", pa.time64("us")),
        ("wall", pa.timestamp("us")), ("at", pa.timestamp("us", "UTC")), ("raw", pa.binary()),
        ("tags", pa.list_(pa.string())), ("point", pa.struct({"x": pa.float64(), "y": pa.int32()})),
    ]
)  # fmt: skip
AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
NAMES = ("O'Hare", "", 'JFK "old"', "zürich", None, "B", "a", "-- x")
CONDITIONS = (
    "Name:eq:O'Hare", "Name:ge:a", "flag:eq:true", "small:in:1,2,5", "half:gt:0.1", "whole:ge:0.5", "whole:lt:0.5",
    "money:ne:1.25", "day:le:2026-02-02", "clock:gt:12:00:00.000001", "wall:ge:2026-01-31T12:00:01.123456",
    "at:lt:2026-01-31T13:00:02.123456+01:00", "at:eq:2026-01-31T12:00:01.123456Z", "raw:known",
)  # fmt: skip
ORDERS = ("Name", "-flag", "half", "-whole", "whole", "money", "-day", "clock", "wall", "-at", "raw")


def kinds() -> list[dict[str, Any]]:
    """Every kind of value, its null, and numbers that are none."""
    numbers = [0.5, math.nan, -0.25, None, math.inf, 0.1, math.nan, 3.0]
    return [
        {"id": n, "Name": name, "flag": None if n == 2 else n % 2 == 0, "small": n or None, "half": numbers[n],
         "whole": numbers[-n], "money": Decimal(n) * Decimal("1.25"), "day": date(2026, 1, 31) + timedelta(n),
         "clock": time(12, 0, 0, n), "wall": AT.replace(tzinfo=None) + timedelta(seconds=n),
         "at": AT + timedelta(seconds=n), "raw": bytes([255 - n, 0]), "tags": [None, "x"][: n % 3],
         "point": {"x": numbers[n], "y": n} if n else None}
        for n, name in enumerate(NAMES)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def by_trino(settings, trino_server, tables) -> Iterator[httpx.Client]:
    """An API beside the other one, with Trino as its engine, whose first queries take their time."""
    chosen = settings.model_copy(update={"api_engine": "trino", "api_query_seconds": 120.0})
    with (
        api_process(chosen, rate="100000/minute") as running,
        httpx.Client(base_url=running.address, headers={"Authorization": f"Bearer {running.key}"}, timeout=150) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def alike(stack, http, by_trino) -> Callable[..., pa.Table]:
    """Asks both until they speak of the same snapshots, and compares all they say."""

    def ask(path: str, **parameters: Any) -> pa.Table:
        def same() -> list[httpx.Response]:
            both = [each.get(path, params=parameters, headers={"Accept": ARROW}) for each in (http, by_trino)]
            assert [each.status_code for each in both] == [200, 200], both[1].text
            snapshots = [[each["snapshot_id"] for each in meta(response)["snapshots"]] for response in both]
            return both if snapshots[0] == snapshots[1] else []

        ours, theirs = stack.until(same, "both engines read the same snapshots")
        wanted, found = arrow(ours), arrow(theirs)
        assert found.schema == wanted.schema
        assert found.num_rows == wanted.num_rows
        assert found.to_pylist() == close(wanted.to_pylist())
        assert plain(meta(theirs)) == plain(meta(ours))
        return wanted

    return ask


ARROW = "application/vnd.apache.arrow.stream"


def meta(response: httpx.Response) -> dict[str, Any]:
    return json.loads(response.headers["lakehouse-meta"])


def plain(said: dict[str, Any]) -> dict[str, Any]:
    """Without what the moment and the engine decide: ages, and whose cursor it is."""
    said["next_cursor"] = said["next_cursor"] is not None
    snapshots = [{name: value for name, value in each.items() if name != "age_seconds"} for each in said["snapshots"]]
    return {**said, "freshness_seconds": None, "snapshots": snapshots}


def arrow(response: httpx.Response) -> pa.Table:
    return pa.ipc.open_stream(io.BytesIO(response.content)).read_all()


def close(value: Any) -> Any:
    """Equal but for the last digits of a sum that was made in another order."""
    if isinstance(value, list):
        return [close(each) for each in value]
    if isinstance(value, dict):
        return {name: close(each) for name, each in value.items()}
    return pytest.approx(value, rel=1e-12, nan_ok=True) if isinstance(value, float) else value


def pages(http: httpx.Client, path: str, limit: int, **parameters: Any) -> tuple[list[dict[str, Any]], set[str]]:
    """All rows of a table, page by page, and the snapshots that they came from."""
    rows: list[dict[str, Any]] = []
    snapshots, cursor = set(), None
    while True:
        given = {**parameters, "limit": limit, **({"cursor": cursor} if cursor else {})}
        answer = http.get(path, params=given, headers={"Accept": ARROW})
        assert answer.status_code == 200, answer.text
        rows += arrow(answer).to_pylist()
        snapshots.add(meta(answer)["snapshots"][0]["snapshot_id"])
        cursor = meta(answer)["next_cursor"]
        if cursor is None:
            return rows, snapshots


def test_every_question_has_the_same_answer(alike):
    empty = {path for path, parameters in REQUESTS if not alike(path, **parameters).num_rows}
    assert not {path for path in empty if "trips" in path or "dashboard" in path}, "this would compare nothing"


def test_the_past_has_the_same_answer(alike, catalog):
    log = catalog.load_table("taxi_cdc.trips").metadata.snapshot_log
    middle = datetime.fromtimestamp(log[len(log) // 2].timestamp_ms / 1000, UTC).isoformat()
    for path in ("/api/v1/dashboard/stats", "/api/v1/trips/recent", TRIPS):
        alike(path, as_of=f"time:{middle}", **({"order_by": "trip_id"} if path == TRIPS else {}))


def test_values_of_every_kind_are_compared_and_ordered_alike(alike, write):
    write("api_test.kinds", kinds(), KINDS)
    path = "/api/v1/tables/api_test/kinds"
    for condition in CONDITIONS:
        alike(path, where=[condition], order_by="id")
    for order in ORDERS:
        assert alike(path, order_by=order).num_rows == len(NAMES)


def test_pages_by_trino_lose_and_repeat_nothing(by_trino, catalog, write, rows_at):
    found, (snapshot,) = pages(by_trino, TRIPS, 1000, columns="trip_id,tip_amount", order_by="-tip_amount")
    wanted = {row["trip_id"]: row["tip_amount"] for row in rows_at("taxi_cdc.trips", snapshot)}
    assert len(found) == len(wanted) and {row["trip_id"]: row["tip_amount"] for row in found} == wanted
    assert [row["tip_amount"] for row in found] == sorted(wanted.values(), reverse=True)
    assert catalog.load_table("taxi_cdc.trips").format_version == 3
    schema = pa.schema([("id", pa.int64()), ("score", pa.float64()), ("tags", pa.list_(pa.string()))])
    twins = [{"id": n % 4, "score": [None, math.nan, 0.5][n % 3], "tags": ["a"] * (n % 2)} for n in range(40)]
    write("api_test.twins", twins, schema)
    assert catalog.load_table("api_test.twins").format_version == 2
    for order in ({}, {"order_by": "score"}, {"order_by": "-score"}):
        found, _ = pages(by_trino, "/api/v1/tables/api_test/twins", 7, **order)
        assert Counter(map(repr, found)) == Counter(map(repr, twins)), order


def test_what_cannot_be_is_refused_alike(by_trino, http, write):
    cursor = http.get(TRIPS, params={"limit": 1}).json()["meta"]["next_cursor"]
    refused = by_trino.get(TRIPS, params={"limit": 1, "cursor": cursor})
    assert (refused.status_code, refused.json()["type"].split(":")[-1]) == (400, "malformed-cursor")
    for where in ("trip_id:eq:many", "updated_at:lt:soon", "total_amount:eq:1e999"):
        statuses = [each.get(TRIPS, params={"where": where}).status_code for each in (http, by_trino)]
        assert statuses == [422, 422], where
    for text in (PROJECT / "tests" / "unit" / "injections.txt").read_text().splitlines()[1:]:
        answer = by_trino.get("/api/v1/tables/reference/taxi_zones", params={"where": f"zone:eq:{text}"})
        assert (answer.status_code, answer.json()["data"]) == (200, []), text


def test_a_query_by_trino_ends_when_its_time_is_up(settings, trino_server):
    chosen = settings.model_copy(update={"api_engine": "trino", "api_query_seconds": 2.0})
    lake = Lake(chosen, Heads(chosen), Metrics())
    slow = "select count(*) as n from trips a, trips b, trips c where (a.trip_id + b.trip_id + c.trip_id) % 7 = 3"
    asked = Asked(Question("test", slow, {"trips": "taxi_cdc.trips"}, ("trips",), (Order("n"),)), {}, 1, {})
    with pytest.raises(ProblemError) as refused:
        lake.ask(asked, lake.heads(asked))
    assert refused.value.name == "query-limit"


def test_the_pipeline_is_told_through_trino(by_trino):
    assert by_trino.get("/readyz").json() == {"status": "ok"}
    status = by_trino.get("/api/v1/pipeline/status").json()["data"]
    assert {"measured_events", "delay_median_seconds"} <= set(status["flow"])
    assert {table["table"] for table in status["tables"]} >= {"taxi_cdc.trips"}
