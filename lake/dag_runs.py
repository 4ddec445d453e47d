"""Runs of DAGs through Airflow's API: trigger one, and wait until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from catalog.errors import BatchError, ComponentError
from catalog.settings import Settings

POLL_SECONDS = 2.0
ENDED = ("success", "failed")


@dataclass(frozen=True)
class DagRun:
    """One run as Airflow sees it: `state` is queued, running, success or failed."""

    dag: str
    id: str
    state: str
    tasks: dict[str, str]

    def as_text(self) -> str:
        """Its tasks in one line."""
        done = sum(state in ("success", "skipped") for state in self.tasks.values())
        now = ", ".join(sorted(name for name, state in self.tasks.items() if state in ("running", "deferred")))
        return f"{self.dag}: {self.state}, {done} of {len(self.tasks)} tasks{f', now {now}' if now else ''}"


class Airflow:
    """Airflow's API, logged in as `admin`. Methods raise ComponentError when it does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.airflow
        self._client = httpx.Client(base_url=settings.airflow, timeout=30, trust_env=False)
        login = {"username": "admin", "password": settings.secrets.airflow_admin}
        token = self._ask("POST", "/auth/token", json=login)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def await_dag(self, dag: str, seconds: float = 120) -> None:
        """Wait until Airflow has read the DAG's file."""
        deadline = time.monotonic() + seconds
        while dag not in {each["dag_id"] for each in self._ask("GET", "/api/v2/dags")["dags"]}:
            if time.monotonic() > deadline:
                raise ComponentError(f"Airflow does not know {dag}", remedy="lake logs airflow-dag-processor")
            time.sleep(POLL_SECONDS)

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run, as `airflow dags trigger` does; its id."""
        run = self._ask("POST", f"/api/v2/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        return str(run["dag_run_id"])

    def run(self, dag: str, run_id: str) -> DagRun:
        """One run with its tasks' states."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run_id}"
        tasks = self._ask("GET", f"{path}/taskInstances")["task_instances"]
        states = {_task_name(each): each["state"] or "waiting" for each in tasks}
        return DagRun(dag, run_id, self._ask("GET", path)["state"], states)

    def newest_since(self, dag: str, moment: datetime) -> str | None:
        """The id of the newest run, however it came about, if it was queued after `moment`."""
        newest = {"order_by": "-id", "limit": 1}
        runs = self._ask("GET", f"/api/v2/dags/{dag}/dagRuns", params=newest)["dag_runs"]
        queued = [run for run in runs if datetime.fromisoformat(run["queued_at"]) >= moment]
        return str(queued[0]["dag_run_id"]) if queued else None

    def await_end(
        self, dag: str, run_id: str, seconds: float, report: Callable[[str], None] = lambda line: None
    ) -> DagRun:
        """Wait until the run has ended well. Raises BatchError, which names the tasks that did not."""
        deadline = time.monotonic() + seconds
        while (run := self.run(dag, run_id)).state not in ENDED:
            report(run.as_text())
            if time.monotonic() > deadline:
                raise BatchError(f"{run.as_text()} after {seconds:.0f} s", remedy=f"look at it on {self._address}")
            time.sleep(POLL_SECONDS)
        if run.state == "failed":
            failed = ", ".join(sorted(name for name, state in run.tasks.items() if state == "failed"))
            raise BatchError(f"{dag}, run {run_id}: {failed} failed", remedy=f"read its log on {self._address}")
        return run

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._client.request(method, path, **more)
        except httpx.HTTPError as silent:
            raise ComponentError(
                f"Airflow at {self._address} does not answer: {silent}", remedy="lake up --with airflow"
            ) from silent
        if answer.is_error:
            said = f"{answer.status_code} {answer.text[:300]}"
            raise ComponentError(f"Airflow at {self._address} refused {method} {path}: {said}")
        return answer.json()


def _task_name(task: dict[str, Any]) -> str:
    index = task.get("map_index", -1)
    return str(task["task_id"]) if index < 0 else f"{task['task_id']}[{index}]"
