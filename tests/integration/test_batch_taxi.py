"""TLC's months through the real steps: files that tests make of real trips, read back by DuckDB."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from taxi_files import ROWS, real_trips, serving, set_column, with_values, write

from batch.steps import run
from catalog.errors import BatchError, QualityError
from catalog.readers import iceberg_catalog
from catalog.settings import PROJECT

STEPS = ("extract", "validate", "load", "record")


@pytest.fixture
def website(tmp_path) -> Any:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture
def pipeline(batch_job) -> Callable[..., dict[str, Any]]:
    """Runs the steps of one run, by default all; their results by name."""

    def through(source: Path | str, *steps: str, name: str | None = None, **given: Any) -> dict[str, Any]:
        name = name or f"nyc_taxi_iceberg_etl/{uuid4().hex}"
        made = {step: run(batch_job(f"taxi {step}", name, tlc_source=str(source), **given)) for step in steps or STEPS}
        return {"run": name, **made}

    return through


@pytest.fixture
def published(stack) -> Callable[..., Any]:
    """Rows and a hash of all their values, by month, as DuckDB reads them."""

    def of(*months: str) -> dict[str, tuple[int, int]]:
        rows = stack.lake_rows(
            "select printf('%d-%02d', year, month) as name, count(*), sum(hash(trips)::hugeint)::varchar"
            " from iceberg.nyc_taxi.trips group by name"
        )
        return {name: (count, total) for name, count, total in rows if name in months}

    return of


def runs_of(stack, name: str) -> dict[str, dict[str, Any]]:
    columns = "interval, status, rows_in, accepted, quarantined, snapshot_id, message, sha256"
    rows = stack.lake_rows(f"select {columns} from iceberg.control.batch_runs where run_id = '{name}'")
    return {row[0]: dict(zip(columns.split(", "), row, strict=True)) for row in rows}


def test_a_month_never_seen_loads_from_a_website_and_is_not_fetched_twice(
    stack, pipeline, published, tmp_path, website
):
    template, asked = website
    trips = real_trips("2025-02").drop_columns(["improvement_surcharge"])
    other_types = {
        "VendorID": pa.int32(), "PULocationID": pa.uint16(), "RatecodeID": pa.string(),
        "tpep_pickup_datetime": pa.timestamp("ms"), "fare_amount": pa.decimal128(12, 4),
    }  # fmt: skip
    for name, other in other_types.items():
        trips = set_column(
            trips, name, trips[name].cast(pa.int64()).cast(other) if name == "RatecodeID" else trips[name].cast(other)
        )
    trips = set_column(trips, "store_and_fwd_flag", trips["store_and_fwd_flag"].dictionary_encode())
    fees = pa.array([0.75] * ROWS)
    trips = trips.append_column("Airport_fee", pa.nulls(ROWS)).append_column("cbd_congestion_fee", fees)
    trips = trips.append_column("robotaxi", pa.array([True] * ROWS))
    write(tmp_path, "2025-02", trips, row_group_size=300)

    done = pipeline(
        template, trigger="backfill", interval_start=datetime(2025, 2, 1), interval_end=datetime(2025, 3, 5)
    )

    assert done["extract"]["absent"] == ["2025-03"] and asked[-1] == ("yellow_tripdata_2025-03.parquet", 403)
    rows = stack.lake_rows(
        "select source_row, pickup_at, rate_code_id, pickup_location_id, fare_amount, airport_fee, cbd_congestion_fee,"
        " improvement_surcharge, store_and_fwd_flag from iceberg.nyc_taxi.trips where year = 2025 order by source_row"
    )
    assert [row[0] for row in rows] == list(range(ROWS))
    assert [row[1] for row in rows] == trips["tpep_pickup_datetime"].to_pylist()
    assert [row[2] for row in rows] == [int(code) for code in trips["RatecodeID"].to_pylist()]
    assert [row[3] for row in rows] == trips["PULocationID"].to_pylist()
    assert [row[4] for row in rows] == trips["fare_amount"].to_pylist()
    assert {(row[5], float(row[6]), row[7]) for row in rows} == {(None, 0.75, None)}
    assert [row[8] for row in rows] == trips["store_and_fwd_flag"].to_pylist()
    recorded = runs_of(stack, done["run"])["2025-02"]
    assert recorded["status"] == "success" and recorded["message"] == "unknown columns: robotaxi"

    again = pipeline(template, trigger="scheduled", interval_end=datetime(2025, 4, 5))
    assert asked[-3:] == [(f"yellow_tripdata_2025-0{month}.parquet", 304 if month == 2 else 403) for month in (2, 3, 4)]
    assert again["extract"]["message"].startswith("nothing new") and again["load"] == {"snapshots": {}}
    assert runs_of(stack, again["run"])["2025-02"]["status"] == "unchanged"


def test_dirty_rows_are_set_aside_with_a_reason_or_kept_with_flags(stack, pipeline, tmp_path):
    trips = real_trips("2021-11")
    pickups, dropoffs = {}, {}
    for row, (pickup, dropoff) in {
        0: ("2002-12-31 23:00:00", "2002-12-31 23:10:00"),
        1: ("2021-12-02 00:00:00", "2021-12-02 00:10:00"),
        2: ("2021-12-01 23:59:59", "2021-12-02 00:10:00"),
        3: ("2021-11-07 01:30:00", "2021-11-07 01:40:00"),
        4: ("2021-11-08 08:00:00", "2021-11-08 08:00:00"),
        5: ("2021-11-08 08:00:00", "2021-11-09 09:00:00"),
        6: ("2021-11-08 08:00:00", "2021-11-08 08:10:00"),
    }.items():
        pickups[row], dropoffs[row] = datetime.fromisoformat(pickup), datetime.fromisoformat(dropoff)
    trips = with_values(trips, "tpep_pickup_datetime", pickups)
    trips = with_values(trips, "tpep_dropoff_datetime", dropoffs)
    trips = with_values(trips, "trip_distance", {6: 47_600.0, **dict.fromkeys((0, 1, 2, 3, 4, 5), 1.0)})
    trips = with_values(trips, "PULocationID", {7: 0, 8: 264})
    trips = with_values(trips, "DOLocationID", {9: 266, 8: 265})
    trips = with_values(trips, "passenger_count", {10: 1.5, 11: 1e12, 12: None})
    trips = with_values(trips, "fare_amount", {13: -52.0, 14: 1e9, 15: 10.123})
    trips = with_values(trips, "total_amount", {13: -53.3})
    write(tmp_path, "2021-11", trips, row_group_size=500)

    done = pipeline(tmp_path)

    outside, unreadable = "pick-up more than a day outside of the month", "unreadable: "
    expected = {
        0: outside, 1: outside, 7: "pick-up zone is none of 1 to 265", 9: "drop-off zone is none of 1 to 265",
        10: unreadable + "passenger_count", 11: unreadable + "passenger_count", 14: unreadable + "fare_amount",
    }  # fmt: skip
    aside = stack.lake_rows("select source_row, reason, raw from iceberg.control.quarantine where interval = '2021-11'")
    assert {row: reason for row, reason, _ in aside} == expected
    raw = {row: json.loads(text) for row, _, text in aside}
    assert raw[10]["passenger_count"] == 1.5 and raw[0]["tpep_pickup_datetime"] == "2002-12-31 23:00:00"
    assert list(raw[0]) == trips.column_names
    flags = dict(
        stack.lake_rows("select source_row, flags from iceberg.nyc_taxi.trips where year = 2021 and source_row < 16")
    )
    assert flags[3] == ["pickup_fold", "dropoff_fold"] and flags[2] == [] and flags[8] == []
    assert flags[4] == ["duration_not_positive"] and flags[5] == ["duration_over_a_day"]
    assert flags[6] == ["impossible_speed"] and "passengers_unknown" in flags[12]
    assert flags[13] == ["negative_fare"] and flags[15] == ["rounded_to_cents"]
    recorded = runs_of(stack, done["run"])["2021-11"]
    assert (recorded["rows_in"], recorded["accepted"], recorded["quarantined"]) == (ROWS, ROWS - 7, 7)


def test_files_that_are_no_month_of_trips_are_refused_together_and_recorded(stack, pipeline, published, tmp_path):
    trips = real_trips("2022-05", 500)
    write(tmp_path, "2022-01", trips.slice(0, 0))
    whole = write(tmp_path, "2022-02", trips).read_bytes()
    (tmp_path / "yellow_tripdata_2022-02.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "yellow_tripdata_2022-03.parquet").write_text("<!DOCTYPE html><title>Moved</title>")
    write(tmp_path, "2022-04", trips.drop_columns(["PULocationID"]))
    write(tmp_path, "2022-05", trips)
    aware = trips["tpep_pickup_datetime"].cast(pa.timestamp("us", "UTC"))
    write(tmp_path, "2022-06", set_column(trips, "tpep_pickup_datetime", aware))
    name = f"nyc_taxi_iceberg_etl/{uuid4().hex}"

    pipeline(tmp_path, "extract", name=name)
    with pytest.raises(BatchError) as refused:
        pipeline(tmp_path, "validate", name=name)
    with pytest.raises(BatchError, match="no result of its step taxi validate"):
        pipeline(tmp_path, "load", name=name)
    with pytest.raises(BatchError, match="recorded that 2022-01, 2022-02"):
        pipeline(tmp_path, "record", name=name)

    for told in (
        "2022-01.parquet holds no rows", "2022-02.parquet is cut off", "2022-03.parquet is no Parquet file",
        "2022-04.parquet lacks PULocationID", "tpep_pickup_datetime is timestamp[us, tz=UTC]",
    ):  # fmt: skip
        assert told in str(refused.value)
    recorded = runs_of(stack, name)
    assert set(recorded) == {f"2022-0{month}" for month in range(1, 7)}
    assert {each["status"] for each in recorded.values()} == {"failed"}
    assert published(*recorded) == {}


def test_a_month_that_breaks_a_rule_fails_until_it_is_published_again(stack, pipeline, published, tmp_path):
    good = real_trips("2023-03", 500)
    write(tmp_path, "2023-03", with_values(good, "PULocationID", dict.fromkeys(range(30), 0)))
    with pytest.raises(QualityError, match="few rows set aside: 30 of 500"):
        pipeline(tmp_path)
    assert published("2023-03") == {}
    told = stack.lake("quality", "--failed", "--json")
    (broken,) = [
        each for each in json.loads(told.stdout) if each["failed"] == ["2023-03"] and each["severity"] == "error"
    ]
    assert told.returncode == 1 and broken["sample"] == {"pick-up zone is none of 1 to 265": 30}

    write(tmp_path, "2023-03", good)
    pipeline(tmp_path)
    first = published("2023-03")
    write(tmp_path, "2023-03", with_values(good, "fare_amount", {7: 12.34}))
    pipeline(tmp_path)
    second = published("2023-03")
    assert first["2023-03"][0] == second["2023-03"][0] == 500 and first != second
    assert stack.lake_rows("select count(*) from iceberg.control.quarantine where interval = '2023-03'") == [(0,)]
    assert "2023-03" not in stack.lake("quality", "--failed").stdout


def snapshot_of(stack) -> int:
    """The table's snapshot as pyiceberg sees it."""
    return iceberg_catalog(stack.settings).load_table("nyc_taxi.trips").current_snapshot().snapshot_id


def command(stack, step: str, name: str, folder: Path) -> subprocess.Popen[bytes]:
    """The step as Airflow runs it, in a process of its own."""
    words = [sys.executable, "-P", "-m", "batch", "taxi", step, "--run", name]
    environment = {**stack.environment, "LAKE_TLC_SOURCE": str(folder)}
    return subprocess.Popen(words, cwd=PROJECT, env=environment, start_new_session=True)


def test_killed_repeated_in_parallel_and_backwards_the_rows_are_the_same(stack, pipeline, published, tmp_path):
    months = ("2024-01", "2024-02", "2024-03")
    for month in months:
        write(tmp_path, month, real_trips(month))
    name = pipeline(tmp_path, "extract", "validate")["run"]

    killed = command(stack, "load", name, tmp_path)
    stack.until(lambda: published(*months), "the first month is there", 300)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert {count for count, _ in published(*months).values()} == {ROWS}

    beside = command(stack, "load", name, tmp_path)
    for _ in range(2):
        pipeline(tmp_path, "load", name=name)
    assert beside.wait(timeout=300) == 0
    whole = published(*months)
    assert {month: count for month, (count, _) in whole.items()} == dict.fromkeys(months, ROWS)

    pipeline(tmp_path, "record", name=name)
    before = snapshot_of(stack)
    assert pipeline(tmp_path)["load"] == {"snapshots": {}} and snapshot_of(stack) == before
    for month in reversed(months):
        pipeline(tmp_path, options={"months": month})
    assert snapshot_of(stack) != before and published(*months) == whole
