"""How a DAG's task becomes a step of `batch`: here, by spark-submit, or as a deferred wait for a table.

All tasks are given the same arguments. A DAG says only which steps there are, and when; this file is all it shares with
the others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSensorTimeout

from catalog.tables import TABLES, Table
from dags.alerts import tell_of_failure

PROJECT = Path(__file__).resolve().parent.parent
SPARK_JOB = str(PROJECT / "scripts" / "batch-job.py")
DEFAULTS: dict[str, Any] = {
    "on_failure_callback": tell_of_failure,
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": True,
}
"""Of every task: a step may be repeated, so what passes by itself is tried again, after 20 seconds, 40 …"""
NETWORK = {"retries": 4}
"""Of what asks others."""
REFUSED = 2
"""Exit code of a step that would be refused again: trying again cannot help."""
_RUN = (
    "--run", "{{ dag_run.dag_id }}/{{ dag_run.run_id }}",
    "--start", "{{ dag_run.data_interval_start.isoformat() if dag_run.data_interval_start else '' }}",
    "--end", "{{ dag_run.data_interval_end.isoformat() if dag_run.data_interval_end else '' }}",
    "--trigger", "{{ dag_run.run_type.value }}",
)  # fmt: skip


class BatchStep(BaseOperator):
    """Runs `python -m batch` in the project's environment, no shell between; the step's result becomes the XCom."""

    template_fields: Sequence[str] = ("arguments",)

    def __init__(self, *, arguments: list[str], **options: Any) -> None:
        super().__init__(**options)
        self.arguments = arguments
        self._process = SubprocessHook()

    def execute(self, context: Any) -> Any:
        """Raises AirflowException, or for good AirflowFailException; what went wrong is the end of the task's log."""
        command = ["python", "-P", "-m", "batch", *self.arguments]
        ended = self._process.run_command(command, cwd=str(PROJECT))
        if ended.exit_code:
            failure = AirflowFailException if ended.exit_code == REFUSED else AirflowException
            raise failure(f"batch {' '.join(self.arguments[:2])} ended with exit code {ended.exit_code}")
        return json.loads(ended.output)

    def on_kill(self) -> None:
        """End the step with its task."""
        self._process.send_sigterm()


class SparkStep(SparkSubmitOperator):
    """The same by spark-submit: the step computes on the Spark cluster, its driver is the project's Python."""

    def execute(self, context: Any) -> None:
        """Raises AirflowException, or for good AirflowFailException, as the other does."""
        try:
            super().execute(context)
        except AirflowException as failure:
            if f"Error code is: {REFUSED}." in str(failure):
                raise AirflowFailException(f"{self.name} ended with exit code {REFUSED}") from failure
            raise


class TableSensor(HttpSensor):
    """Waits, deferred, until the REST catalog knows the table. Its failure names the DAG that writes it."""

    def __init__(self, *, table: str, **options: Any) -> None:
        self.table = table
        namespace, name = table.split(".")
        endpoint = f"v1/namespaces/{namespace}/tables/{name}"
        super().__init__(http_conn_id="rest_catalog", endpoint=endpoint, deferrable=True, **options)

    def resume_execution(self, *arguments: Any, **options: Any) -> Any:
        """Called when the wait is over, or when the time-out is."""
        try:
            return super().resume_execution(*arguments, **options)
        except AirflowSensorTimeout as late:
            writer = declared(self.table).writer
            raise AirflowFailException(
                f"{self.table} is not there after {self.timeout:.0f} s: airflow dags trigger {writer}, then this again"
            ) from late


def here(task_id: str, step: str, *options: str, minutes: int = 30, **more: Any) -> BatchStep:
    """A step that needs no Spark."""
    limit = timedelta(minutes=minutes)
    return BatchStep(task_id=task_id, arguments=_arguments(step, options), execution_timeout=limit, **more)


def submitted(task_id: str, step: str, *options: str, minutes: int = 60, **more: Any) -> SparkStep:
    """A step that computes on the Spark cluster."""
    return SparkStep(
        task_id=task_id,
        application=SPARK_JOB,
        application_args=_arguments(step, options),
        name=step,
        execution_timeout=timedelta(minutes=minutes),
        **more,
    )


def asset(table: str) -> Asset:
    """The asset of a declared table. Raises KeyError when nobody declares it."""
    namespace, _, name = declared(table).identifier.partition(".")
    return Asset(name=table, uri=f"iceberg://{namespace}/{name}")


def declared(table: str) -> Table:
    """The declaration of `namespace.name`. Raises KeyError when there is none."""
    return {each.identifier: each for each in TABLES}[table]


def _arguments(step: str, options: Sequence[str]) -> list[str]:
    return [*step.split(), *_RUN, *(word for option in options for word in ("--option", option))]
