"""`lake maintain` beside the running stream: what it rewrites says the same before and after, now and of the past."""

import json
from threading import Thread

import pytest

from catalog.readers import iceberg_catalog


@pytest.fixture
def past(stack) -> tuple[int, list[tuple]]:
    """A snapshot of the trips with deleted rows in many files, and what DuckDB reads of it."""
    for seed in range(6):
        stack.traffic(60, seed=700 + seed)
        stack.verified("trips")
    snapshot = stack.iceberg("trips").current_snapshot().snapshot_id
    return snapshot, trips_at(stack, snapshot)


def trips_at(stack, snapshot: int) -> list[tuple]:
    columns = "trip_id, pickup_at, fare_amount, tip_amount"
    return stack.lake_rows(f"select {columns} from taxi_cdc.trips at (version => {snapshot}) order by trip_id")


def test_tables_are_tidied_up_under_traffic_and_say_the_same(stack, past):
    snapshot, rows = past
    traffic = Thread(target=stack.traffic, args=(300,), kwargs={"seed": 710})
    traffic.start()
    done = stack.lake("maintain", "--json")
    traffic.join()
    assert done.returncode == 0, done.stdout + done.stderr
    told = {each["table"]: each for each in json.loads(done.stdout)}
    tables = {".".join(name) for name in iceberg_catalog(stack.settings).list_tables("taxi_cdc")}
    assert told.keys() >= tables and not [each for each in told.values() if each["refused"]]
    assert sum(each["files"] + each["manifests"] for each in told.values()) > 0
    stack.verified("trips", "vendors", "payment_types")
    stack.real_time_verified()
    assert trips_at(stack, snapshot) == rows, "the past is as it was"


def test_a_table_that_is_not_there_is_named(stack):
    done = stack.lake("maintain", "no.such")
    assert done.returncode == 2 and "no.such" in done.stderr
