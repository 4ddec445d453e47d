"""Airflow and its Spark cluster as people use them: DAGs, a run from the command line to the table, a failure told."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from catalog.readers import duckdb_connection
from catalog.settings import PREFIX, PROJECT, SAMPLE, Settings
from stack import airflow, control, processes

WITHOUT = ("kafka", "connect", "stream")
TAXI, WEATHER, ANALYTICS = "nyc_taxi_iceberg_etl", "nyc_weather_etl", "comprehensive_analytics_pipeline"
MONTH = SAMPLE / "tlc" / "yellow_tripdata_2019-01.parquet"
SETTINGS = ("state_dir", "port_offset", "tlc_source")
ENDED = ("success", "failed")
ORDER = {
    TAXI: {
        "extract_taxi_data": ["validate_data"],
        "validate_data": ["process_to_iceberg"],
        "process_to_iceberg": ["update_control_table"],
        "update_control_table": [],
    },
    WEATHER: {
        "fetch_weather": ["validate"],
        "create_locations": ["validate"],
        "validate": ["location_to_iceberg", "weather_to_iceberg"],
        "weather_to_iceberg": [],
        "location_to_iceberg": [],
    },
    ANALYTICS: {
        "wait_for_sources": ["check_availability"],
        "check_availability": ["analytics_transform", "realtime_cdc"],
        "analytics_transform": ["ml_features"],
        "realtime_cdc": ["ml_features"],
        "ml_features": [],
    },
}
HEAVY = """
import importlib.util, json, sys
for name in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location(name.rpartition("/")[2], name)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
heavy = ("pyspark", "pandas", "numpy", "pyarrow", "batch", "catalog.settings")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


class Airflow:
    """The running Airflow, asked over its API and told on its command line."""

    def __init__(self, settings: Settings, told: list[dict[str, Any]]) -> None:
        self.settings, self.told = settings, told
        self._client = httpx.Client(base_url=settings.airflow, timeout=20, trust_env=False)
        token = self.log_in(settings.secrets.airflow_admin).json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def log_in(self, password: str) -> httpx.Response:
        return self._client.post("/auth/token", json={"username": airflow.USER, "password": password})

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/api/v2/{path}").raise_for_status().json()
        return found

    def command(self, *arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        own = {f"{PREFIX}{name}".upper(): str(getattr(self.settings, name)) for name in SETTINGS}
        program = [str(PROJECT / "scripts" / "airflow"), *arguments]
        environment = {**os.environ, **own}
        return subprocess.run(program, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 600) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.5)
        pytest.fail(f"after {seconds:.0f} s still not: {what}")

    def trigger(self, dag: str, run: str, folder: Path = PROJECT, **parameters: str) -> None:
        assert self.command("dags", "unpause", dag, folder=folder).returncode == 0
        done = self.command("dags", "trigger", dag, "--run-id", run, "--conf", json.dumps(parameters), folder=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in (done.stdout + done.stderr).lower(), "people read what it says"

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """State by task; of a mapped task the states, by what it is mapped over."""
        found = self.get(f"dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {f"{each['task_id']} {each['rendered_map_index'] or ''}".strip(): each["state"] for each in found}

    def log(self, dag: str, run: str, task: str) -> str:
        content = self.get(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/1")["content"]
        return "\n".join(str(line["event"]) for line in content)


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps what it is told."""
    told: list[dict[str, Any]] = []

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()


@pytest.fixture(scope="module")
def running(free_offset, webhook, tmp_path_factory) -> Iterator[Airflow]:
    """A small stack of its own with one month to load; its DAGs wait to be unpaused."""
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copy(MONTH, folder)
    settings = Settings(
        _env_file=None, state_dir=folder / "state", port_offset=free_offset(), tlc_source=str(folder),
        airflow_paused=True, alert_webhook=webhook[0],
    )  # fmt: skip
    try:
        control.up(settings, groups=("airflow",), without=WITHOUT)
        yield Airflow(settings, webhook[1])
    finally:
        control.down(settings)
        assert not processes.leftovers(settings)


@pytest.fixture(scope="module")
def dags(running) -> dict[str, dict[str, Any]]:
    """What Airflow knows of each DAG, once it has read all three."""

    def read() -> dict[str, dict[str, Any]]:
        errors = running.get("importErrors")["import_errors"]
        assert not errors, errors
        found = {each["dag_id"]: each for each in running.get("dags")["dags"]}
        return found if set(found) >= set(ORDER) else {}

    return running.until(read, "three DAGs are read", 120)


def test_parsing_a_dag_imports_nothing_heavy(tmp_path: Path):
    files = [str(PROJECT / "dags" / f"{name}.py") for name in ORDER]
    python, environment = airflow.PROGRAM.with_name("python"), {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([python, "-c", HEAVY, *files], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("dag", ORDER)
def test_each_dag_has_its_tasks_in_order_and_says_what_it_does(running, dags, dag: str):
    tasks = running.get(f"dags/{dag}/tasks")["tasks"]
    assert {each["task_id"]: sorted(each["downstream_task_ids"]) for each in tasks} == ORDER[dag]
    assert all(each["doc_md"] for each in tasks)
    details = running.get(f"dags/{dag}/details")
    assert len(details["doc_md"]) > 200 and details["catchup"] is False
    triggers = {WEATHER: "0 * * * *", TAXI: "0 */6 * * *"}
    assert triggers.get(dag, "nyc_taxi.trips") in json.dumps(details)


def test_only_who_knows_the_password_comes_in(running):
    assert running.log_in("wrong").status_code == 401
    assert httpx.get(f"{running.settings.airflow}/api/v2/dags", trust_env=False).status_code == 401


def test_a_run_from_the_command_line_fills_the_table(running, dags, tmp_path: Path):
    """Over the whole run nothing listens to others and no command line shows a secret."""
    running.trigger(TAXI, "by-hand", folder=tmp_path, months="2019-01")
    exposed: set[str] = set()

    def ended() -> str:
        exposed.update(seen_from_outside(running.settings))
        state = running.get(f"dags/{TAXI}/dagRuns/by-hand")["state"]
        return state if state in ENDED else ""

    state = running.until(ended, "the run ends")
    assert state == "success", (running.tasks(TAXI, "by-hand"), running.log(TAXI, "by-hand", "validate_data"))
    assert exposed == set()
    assert set(running.tasks(TAXI, "by-hand").values()) == {"success"}
    assert "batch-job.py taxi load --run nyc_taxi_iceberg_etl/by-hand" in running.log(
        TAXI, "by-hand", "process_to_iceberg"
    )
    with duckdb_connection(running.settings, threads=1) as lake:
        (accepted,) = lake.execute(
            "select count(*) from iceberg.nyc_taxi.trips where year = 2019 and month = 1"
        ).fetchone()
        (quarantined,) = lake.execute("select count(*) from iceberg.control.quarantine").fetchone()
        recorded = lake.execute("select distinct run_id from iceberg.control.batch_runs").fetchall()
    assert accepted > 9_000 and accepted + quarantined == pq.read_metadata(MONTH).num_rows
    assert (f"{TAXI}/by-hand",) in recorded


def seen_from_outside(settings: Settings) -> set[str]:
    """Addresses other than loopback on which a process of the stack listens, and command lines with a secret."""
    own, secrets = {process.pid for process in processes.leftovers(settings)}, settings.secrets.model_dump().values()
    listening = (c for c in psutil.net_connections("tcp") if c.pid in own and c.status == psutil.CONN_LISTEN)
    found = {c.laddr.ip for c in listening} - {"127.0.0.1", "::ffff:127.0.0.1"}
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        found.update(line for secret in secrets if secret in line)
    return found


def test_a_failed_run_is_recorded_and_told(running, dags):
    running.trigger(TAXI, "of-a-month-that-is-not", months="2019-07")
    path = f"dags/{TAXI}/dagRuns/of-a-month-that-is-not"
    state = running.until(lambda: (s := running.get(path)["state"]) in ENDED and s, "the run ends")
    tasks = running.tasks(TAXI, "of-a-month-that-is-not")
    assert state == "failed" and tasks["extract_taxi_data"] == "failed"
    assert tasks["process_to_iceberg"] == "upstream_failed" and tasks["update_control_table"] in ENDED
    first = next(each for each in running.told if each["run"] == "of-a-month-that-is-not")
    assert (first["dag"], first["task"], first["try"]) == (TAXI, "extract_taxi_data", 1)


def test_a_dag_without_its_sources_waits_and_holds_no_worker(running, dags):
    running.trigger(ANALYTICS, "too-early")

    def waiting() -> bool:
        tasks = running.tasks(ANALYTICS, "too-early")
        return tasks.get("wait_for_sources weather.hourly_weather") == "deferred"

    running.until(waiting, "the wait for the weather is deferred", 90)


def test_up_again_changes_nothing_with_the_group_or_without_it(running):
    before = {state.name: state.pid for state in control.states(running.settings)}
    assert {"airflow-scheduler", "spark-worker"} <= set(before)
    control.up(running.settings, groups=("airflow",), without=WITHOUT)
    control.up(running.settings, without=WITHOUT)
    states = {state.name: state for state in control.states(running.settings)}
    assert {name: state.pid for name, state in states.items()} == before
    assert all(state.healthy for name, state in states.items() if name not in WITHOUT)
