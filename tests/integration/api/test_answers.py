"""What the API answers over the running lake, asked by its client over HTTP; pyiceberg says what it should be."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest

from serving.api.keys import Keys, Scope
from serving.client import AsyncLakehouseClient, RequestError, SnapshotGoneError

TRIPS = "taxi_cdc.trips"


def snapshot_of(meta: Any, name: str) -> str:
    return next(each.snapshot_id for each in meta.snapshots if each.table == name)


def test_a_table_that_is_not_there_gives_no_rows_and_says_why(empty):
    for table, answer in empty.items():
        assert answer["data"] == [], table
        assert answer["meta"]["reason"] == f"no data yet: table {table} has not been made"
        assert answer["meta"]["snapshots"][0]["snapshot_id"] is None


def test_stats_are_those_of_the_mirror(client, rows_at):
    stats = client.get_dashboard_stats(hours=24 * 14)
    rows = rows_at(TRIPS, snapshot_of(stats.meta, TRIPS))

    def between(begin: datetime, end: datetime) -> list[dict[str, Any]]:
        return [row for row in rows if begin <= row["pickup_at"] < end]

    length = timedelta(days=14)
    assert stats.window_end - stats.window_start == length
    now, before = (
        between(stats.window_start, stats.window_end),
        between(stats.window_start - length, stats.window_start),
    )
    assert (stats.trips, stats.trips_before, stats.total_trips) == (len(now), len(before), len(rows))
    assert stats.revenue == sum((row["total_amount"] for row in now), Decimal())
    assert stats.total_revenue == sum(row["total_amount"] for row in rows)
    assert stats.active_zones == len({row["pickup_location_id"] for row in now})
    assert stats.last_pickup_at == max(row["pickup_at"] for row in rows)
    if now and before:
        assert stats.trips_change_percent == pytest.approx(100 * (len(now) - len(before)) / len(before))
        fares = [sum(row["fare_amount"] for row in each) / len(each) for each in (now, before)]
        assert (stats.average_fare, stats.average_fare_before) == pytest.approx(tuple(map(float, fares)))
    position = stats.meta.snapshots[0].position
    assert position is None or position.next_offsets["0"] > 0
    assert stats.meta.freshness_seconds >= 0


def test_hours_of_the_series_are_those_of_the_mirror_without_a_gap(client, rows_at):
    series = client.get_trip_series(hours=24 * 7)
    hours = series.to_arrow().to_pylist()
    trips = rows_at(TRIPS, snapshot_of(series.meta, TRIPS))
    assert hours and {b["hour"] - a["hour"] for a, b in itertools.pairwise(hours)} <= {timedelta(hours=1)}
    for hour in hours:
        held = [trip for trip in trips if hour["hour"] <= trip["pickup_at"] < hour["hour"] + timedelta(hours=1)]
        assert (hour["trips"], hour["revenue"]) == (len(held), sum((t["total_amount"] for t in held), Decimal()))


def test_past_error_is_that_of_what_was_foreseen_before_the_hour(client, rows_at):
    rows = client.get_prediction_accuracy(hours=24)
    newest = next(iter(rows))
    tables = ("ml.demand_prediction_features", "analytics.demand_prediction_features")
    made, known = (rows_at(name, snapshot_of(rows.meta, name)) for name in tables)
    came = {(row["origin"], row["location_id"], row["hour"]): row["pickups"] for row in known}
    foreseen: dict[Any, Any] = {}
    for row in sorted(made, key=lambda row: row["made_at"]):
        if row["origin"] == newest.origin and row["made_at"] <= row["prediction_hour"] == newest.prediction_hour:
            foreseen[row["location_id"]] = row
    pairs = [
        (row, came[key])
        for zone, row in foreseen.items()
        if came.get(key := (newest.origin, zone, newest.prediction_hour)) is not None
    ]
    assert newest.zones == len(pairs) > 0
    errors = [abs(row["predicted_demand"] - pickups) for row, pickups in pairs]
    assert newest.mean_absolute_error == pytest.approx(sum(errors) / len(errors))
    within = [row["lower"] <= pickups <= row["upper"] for row, pickups in pairs]
    assert newest.share_within_interval == pytest.approx(sum(within) / len(within))


def test_recent_trips_are_the_newest_with_their_zones(client, rows_at):
    frame = client.get_recent_trips(limit=150)
    (snapshot,) = {each["snapshot_id"] for each in frame.attrs["meta"]["snapshots"] if each["table"] == TRIPS}
    asked = datetime.now(UTC)
    rows = [row for row in rows_at(TRIPS, snapshot) if row["pickup_at"] <= asked - timedelta(minutes=2)]
    newest = sorted(rows, key=lambda row: (row["pickup_at"], row["trip_id"]), reverse=True)
    held = [trip for trip in frame["trip_id"] if trip in {row["trip_id"] for row in rows}]
    assert held == [row["trip_id"] for row in newest[: len(held)]]
    assert len(frame) == min(150, len(frame)) and len(held) >= min(len(rows), 100)
    assert frame["pickup_zone"].notna().mean() > 0.9


def test_pages_of_one_reading_are_one_snapshot_while_the_table_changes(client, catalog, stack, rows_at):
    pages = client.table_pages(TRIPS, columns=["trip_id", "tip_amount"], page_size=700, order_by="-tip_amount")
    first = next(pages)
    snapshot = snapshot_of(first.meta, TRIPS)
    stack.execute("update trips set tip_amount = tip_amount + 1 where trip_id % 10 = 0")
    stack.until(lambda: str(catalog.load_table(TRIPS).current_snapshot().snapshot_id) != snapshot, "a new snapshot")
    found = [first.to_arrow(), *(page.to_arrow() for page in pages)]
    read = pa.concat_tables(found).to_pylist()
    wanted = {row["trip_id"]: row["tip_amount"] for row in rows_at(TRIPS, snapshot)}
    assert len(read) == len(wanted)
    assert {row["trip_id"]: row["tip_amount"] for row in read} == wanted
    tips = [row["tip_amount"] for row in read]
    assert tips == sorted(tips, reverse=True)


def test_a_table_is_read_as_it_was(client, catalog, write):
    write("api_test.versions", [{"id": 1, "name": "old"}], schema := pa.schema({"id": "int64", "name": "string"}))
    first = catalog.load_table("api_test.versions").current_snapshot()
    write("api_test.versions", [{"id": 2, "name": "new"}], schema)
    began = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC)
    for as_of, ids in {
        f"snapshot:{first.snapshot_id}": [1],
        f"time:{began.isoformat()}": [1],
        "time:-0s": [1, 2],
        f"time:{(began - timedelta(seconds=1)).isoformat()}": [],
    }.items():
        found = client.read_table("api_test.versions", as_of=as_of, order_by="id")
        assert [row.id for row in found] == ids, as_of
    assert found.meta.reason == "no data yet: nothing was written to table api_test.versions"
    with pytest.raises(SnapshotGoneError):
        client.read_table("api_test.versions", as_of="snapshot:123")
    with pytest.raises(RequestError, match="several tables"):
        client.get_recent_trips(1, as_of=f"snapshot:{first.snapshot_id}")


def test_zones_and_weather_are_those_of_one_origin(client, rows_at):
    zones = client.get_zone_performance("tlc", borough="Queens")
    held = rows_at("analytics.zone_performance_metrics", zones.meta.snapshots[0].snapshot_id)
    held = [row for row in held if row["origin"] == "tlc" and row["borough"] == "Queens"]
    assert {row.location_id: row.total_pickups for row in zones} == {
        zone: sum(row["total_pickups"] for row in held if row["location_id"] == zone)
        for zone in {row["location_id"] for row in held}
    }
    revenues = [row.total_revenue for row in zones]
    assert revenues == sorted(revenues, reverse=True)
    impact = client.get_weather_impact("cdc")
    held = rows_at("analytics.trip_weather_correlation", impact.meta.snapshots[0].snapshot_id)
    for row in impact:
        hours = [
            each for each in held if each["origin"] == "cdc" and each["weather_condition"] == row.weather_condition
        ]
        assert (row.hours, row.total_trips) == (len(hours), sum(each["total_trips"] for each in hours))
    assert impact.meta.derived == any(each["weather_derived"] for each in held if each["origin"] == "cdc")


def test_of_several_predictions_the_newest_is_given(client, rows_at):
    frame = client.get_demand_predictions(hours_ahead=24)
    snapshot = frame.attrs["meta"]["snapshots"][0]["snapshot_id"]
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    held = rows_at("ml.demand_prediction_features", snapshot)
    newest: dict[tuple[int, datetime], dict[str, Any]] = {}
    for row in sorted(held, key=lambda row: row["made_at"]):
        if hour <= row["prediction_hour"] < hour + timedelta(hours=24):
            newest[row["location_id"], row["prediction_hour"]] = row
    found = {(row.location_id, row.prediction_hour.to_pydatetime()): row.predicted_demand for row in frame.itertuples()}
    assert found == {key: row["predicted_demand"] for key, row in newest.items()}


def test_activity_is_the_newest_window_of_each_zone(client, rows_at):
    activity = client.get_realtime_activity()
    held = rows_at("realtime.zone_activity", activity.meta.snapshots[0].snapshot_id)
    for row in activity:
        newest = max(each["activity_timestamp"] for each in held if each["zone_id"] == row.zone_id)
        assert row.activity_timestamp == newest >= datetime.now(UTC) - timedelta(minutes=70)


def test_activity_is_sent_when_it_changes_and_not_again(api, http, stack, catalog, tables):
    async def changes() -> list[Any]:
        async with AsyncLakehouseClient(api.address, api.key) as awaited:
            first = await anext(awaited.stream_activity())
            again = awaited.stream_activity(first.id)
            coming = asyncio.ensure_future(anext(again))
            done, _ = await asyncio.wait([coming], timeout=2.5)
            assert not done, "the state is known"
            await asyncio.to_thread(change)
            return [first, await asyncio.wait_for(coming, 30)]

    def change() -> None:
        stack.execute(
            """insert into trips (pickup_at, pickup_location_id, fare_amount, tip_amount, tolls_amount, total_amount)
            values (now(), 161, 9, 0, 0, 9)"""
        )

    first, second = asyncio.run(changes())
    assert second.id != first.id
    stack.until(lambda: "lake_api_streams 0.0" in http.get("/metrics").text, "the streams are closed")
    written = catalog.load_table("realtime.zone_activity").metadata.snapshots
    assert second.meta.snapshots[0].snapshot_id in {str(snapshot.snapshot_id) for snapshot in written}


def test_a_stream_ends_with_its_key(api, settings, tables):
    keys = Keys(settings.state_dir)
    key, secret = keys.create("for a moment", frozenset({Scope.ANALYTICS}))
    headers = {"Authorization": f"Bearer {secret}"}
    path = f"{api.address}/api/v1/realtime/activity/stream"
    with httpx.stream("GET", path, headers=headers, timeout=60) as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: activity"
        keys.revoke(key.id)
        assert not [line for line in lines if line.startswith("event:")], "nothing more, and an end"


def test_operations_tell_the_lake_s_own_facts(client):
    results = list(client.get_quality("nyc_taxi.trips"))
    assert [row.passed for row in results] == sorted(row.passed for row in results)
    assert len({(row.interval, row.rule) for row in results}) == len(results)
    status = client.get_pipeline_status()
    trips = next(table for table in status.tables if table.table == TRIPS)
    assert trips.snapshot_id
    assert {table.table for table in status.tables} == {row.table for row in client.get_tables()}
    described = next(row for row in client.get_tables() if row.table == "reference.taxi_zones")
    assert described.description and described.columns[0].name == "location_id"


def test_the_pipeline_tells_what_was_verified_what_came_and_what_it_uses(client, stack):
    stack.verified("payment_types")
    status = client.get_pipeline_status()
    (verified,) = [each for each in status.verified if each.table == "public.payment_types"]
    assert verified.equal and verified.rows_compared == stack.source("select count(*) from payment_types")[0][0]
    usage = {each.name: each for each in status.processes}
    assert {"postgres", "kafka", "store", "catalog", "connect", "stream"} <= set(usage)
    assert all(each.memory_bytes > 1 << 20 for each in usage.values())
    assert {"store", "kafka"} <= {folder.name for folder in status.disk.folders if folder.bytes}
    assert 0 < status.disk.free_bytes <= status.disk.total_bytes
    assert status.flow.events >= 0 and (status.flow.error_rate or 0) < 1
    assert status.realtime and status.realtime.state == "running" and status.realtime.reason is None
    assert status.realtime.records_behind is not None and status.realtime.last_commit_at


def test_both_clients_read_the_same(api, client):
    async def awaited() -> list[Any]:
        async with AsyncLakehouseClient(api.address, api.key) as other:
            return [row async for page in other.table_pages("reference.taxi_zones", page_size=100) for row in page]

    pages = client.table_pages("reference.taxi_zones", page_size=100)
    assert [row for page in pages for row in page] == asyncio.run(awaited())
