"""Requests over the running lake: filters, formats, tags, cursors, and everything that a request must not do."""

import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from catalog.settings import PROJECT
from serving.client import LakehouseClient, NotFoundError

PATHS = (
    "/api/v1/dashboard/stats",
    "/api/v1/trips/recent",
    "/api/v1/analytics/zones",
    "/api/v1/analytics/weather-impact",
    "/api/v1/predictions/demand",
    "/api/v1/realtime/activity",
    "/api/v1/quality",
    "/api/v1/tables/reference/taxi_zones",
)
INJECTIONS = (PROJECT / "tests" / "unit" / "injections.txt").read_text().splitlines()[1:]


def test_a_cursor_whose_snapshot_expired_is_gone(http, catalog, write):
    schema = pa.schema({"id": "int64"})
    write("api_test.expiring", [{"id": n} for n in range(5)], schema)
    path = "/api/v1/tables/api_test/expiring?limit=2"
    page = http.get(path).json()
    cursor, pinned = page["meta"]["next_cursor"], page["meta"]["snapshots"][0]["snapshot_id"]
    write("api_test.expiring", [{"id": 9}], schema)
    assert len(http.get(path, params={"cursor": cursor, "limit": 2}).json()["data"]) == 2
    catalog.load_table("api_test.expiring").maintenance.expire_snapshots().by_id(int(pinned)).commit()
    gone = http.get(path, params={"cursor": cursor, "limit": 3})
    assert (gone.status_code, gone.json()["title"]) == (410, "The table does not hold that snapshot")
    other = http.get("/api/v1/trips/recent", params={"cursor": cursor})
    assert (other.status_code, other.json()["type"].split(":")[-1]) == (400, "malformed-cursor")


def test_filters_columns_and_formats_agree(http, tables, rows_at):
    path = "/api/v1/tables/analytics/zone_performance_metrics"
    query = {
        "columns": "location_id,total_revenue,trip_date",
        "where": ["origin:eq:tlc", "location_id:in:3,5"],
        "limit": 99,
    }
    answers = {
        form: http.get(path, params=query, headers={"Accept": form})
        for form in (
            "application/json",
            "text/csv",
            "application/vnd.apache.arrow.stream",
            "application/vnd.apache.parquet",
        )
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    as_json, as_csv, as_arrow, as_parquet = (answer.content for answer in answers.values())
    meta = json.loads(answers["text/csv"].headers["lakehouse-meta"])
    held = rows_at("analytics.zone_performance_metrics", meta["snapshots"][0]["snapshot_id"])
    wanted = {
        (row["location_id"], row["total_revenue"], row["trip_date"])
        for row in held
        if row["origin"] == "tlc" and row["location_id"] in (3, 5)
    }
    arrow = pa.ipc.open_stream(as_arrow).read_all()
    assert {tuple(row.values()) for row in arrow.to_pylist()} == wanted
    assert pq.read_table(io.BytesIO(as_parquet)).equals(arrow)
    numbers = {(row["location_id"], Decimal(str(row["total_revenue"]))) for row in json.loads(as_json)["data"]}
    assert numbers == {(zone, revenue) for zone, revenue, _ in wanted}
    assert len(pyarrow.csv.read_csv(io.BytesIO(as_csv))) == len(arrow)
    with pytest.raises(NotFoundError, match=r"did you mean analytics\.zone_performance_metrics"):
        LakehouseClient(str(http.base_url), http.headers["authorization"][7:]).read_table(
            "analytics.zone_performance_metric"
        )


def test_an_unchanged_table_is_not_sent_again(http, client, stack):
    path = "/api/v1/tables/reference/taxi_zones"
    first = http.get(path)
    again = http.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["lakehouse-meta"]
    assert http.get(path, headers={"If-None-Match": first.headers["etag"], "Accept": "text/csv"}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_sql_in_any_parameter_harms_nothing(http, tables, path):
    names = ("borough", "since", "until", "origin", "location_id", "dataset", "as_of", "cursor", "limit", "columns",
             "where", "order_by", "hours")  # fmt: skip
    for text in INJECTIONS:
        for name in names:
            answer = http.get(path, params={name: text})
            assert answer.status_code in (200, 400, 422), (name, text, answer.text)
            if answer.status_code == 200:
                assert answer.json()["data"] == [], (name, text)
        for value in (f"zone:eq:{text}", f"{text}:eq:1", f"zone:{text}:x"):
            answer = http.get("/api/v1/tables/reference/taxi_zones", params={"where": value})
            assert answer.status_code in (200, 422)
        assert http.get(f"/api/v1/tables/reference/{text}").status_code in (404, 422)
    assert len(http.get("/api/v1/tables/reference/taxi_zones", params={"limit": 1000}).json()["data"]) == 265


def test_requests_made_from_the_document_end_as_it_says(api, tables, tmp_path):
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(PROJECT / "serving" / "api" / "openapi.json"),
        "--url", api.address, "--header", f"Authorization: Bearer {api.key}", "--exclude-path",
        "/api/v1/realtime/activity/stream", "--phases", "examples,coverage,fuzzing", "--max-examples", "12",
        "--seed", "7", "--generation-database", "none", "--no-color",
        # a value can have the right form and still name no time, column or snapshot
        "--exclude-checks", "positive_data_acceptance",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_a_key_made_by_the_command_reaches_its_scopes_until_it_is_revoked(api, tables, stack):
    made = stack.lake("keys", "create", "a person", "--scope", "tables", "--expires", "1h")
    assert made.returncode == 0, made.stderr
    (key,) = made.stdout.split()
    headers = {"Authorization": f"Bearer {key}"}

    def statuses() -> list[int]:
        paths = ("/api/v1/tables", "/api/v1/quality")
        return [httpx.get(f"{api.address}{path}", headers=headers, timeout=60).status_code for path in paths]

    assert statuses() == [200, 403]
    assert stack.lake("keys", "revoke", key.split("_")[1]).returncode == 0
    assert statuses() == [401, 401]
    listed = json.loads(stack.lake("keys", "list", "--json").stdout)
    (row,) = (row for row in listed if row["id"] == key.split("_")[1])
    assert (row["state"], row["scopes"]) == ("revoked", ["tables"])
    refused = stack.lake("keys", "create", "x", "--expires", "soon")
    assert refused.returncode == 2
    assert "12h, 90d or never" in refused.stderr


def test_no_secret_is_in_the_log(api, client, settings):
    client.get_tables()
    (log,) = settings.state_dir.glob(f"api-{api.address.rsplit(':', 1)[1]}.log")
    text = log.read_text()
    assert "request" in text and "/api/v1/tables" in text
    secrets = [api.key, api.key.split("_")[2], *settings.secrets.model_dump().values()]
    assert not [secret for secret in secrets if secret in text]
    assert "Traceback" not in text


def test_the_benchmark_asks_the_lake_that_is_there_and_leaves_it(stack, catalog, tables):
    before = catalog.load_table("taxi_cdc.trips").current_snapshot().snapshot_id
    done = stack.lake("bench", "api", "--rows", "1000", "--clients", "4", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    kinds = {each["kind"] for each in found["latencies"]}
    assert kinds == {"cold, one client", "kept, 4 clients", "pyiceberg, in process"}
    assert all(each["requests"] > 0 and each["errors"] == 0 for each in found["latencies"])
    assert catalog.load_table("taxi_cdc.trips").current_snapshot().snapshot_id == before
