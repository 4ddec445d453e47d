"""Batch jobs: Airflow, which says when, and a Spark standalone cluster, which computes."""

from __future__ import annotations

from stack import airflow, spark
from stack.component import Component

GROUP = "airflow"

COMPONENTS = (
    Component(
        name="spark-master",
        title="Spark master",
        group=GROUP,
        command=spark.master_command,
        ask=spark.ask_master,
        address=lambda settings: f"http://{settings.host}:{settings.port('spark_master_ui')}",
        ports=("spark_master", "spark_master_ui"),
        prepare=spark.prepare,
        external=("spark_master",),
    ),
    Component(
        name="spark-worker",
        title="Spark worker",
        group=GROUP,
        command=spark.worker_command,
        ask=spark.ask_worker,
        address=lambda settings: f"http://{settings.host}:{settings.port('spark_worker_ui')}",
        ports=("spark_worker", "spark_worker_ui"),
        after=("spark-master",),
        prepare=spark.prepare,
        external=("spark_master",),
    ),
    Component(
        name="airflow-api-server",
        title="Airflow",
        group=GROUP,
        command=airflow.command("api-server"),
        ask=airflow.ask("metadatabase"),
        address=lambda settings: settings.airflow,
        ports=("airflow",),
        after=("postgres",),
        prepare=airflow.prepare,
        external=("airflow_url",),
        start_seconds=180,
        stop_seconds=10,
    ),
    Component(
        name="airflow-dag-processor",
        title="Airflow DAG processor",
        group=GROUP,
        command=airflow.command("dag-processor"),
        ask=airflow.ask("dag_processor"),
        address=lambda settings: "",
        after=("airflow-api-server",),
        external=("airflow_url",),
        start_seconds=180,
    ),
    Component(
        name="airflow-triggerer",
        title="Airflow triggerer",
        group=GROUP,
        # its log server, and the scheduler's, would listen on every interface; the API server reads the files
        command=airflow.command("triggerer", "--skip-serve-logs"),
        ask=airflow.ask("triggerer"),
        address=lambda settings: "",
        after=("airflow-api-server",),
        external=("airflow_url",),
        start_seconds=180,
    ),
    Component(
        name="airflow-scheduler",
        title="Airflow scheduler",
        group=GROUP,
        command=airflow.command("scheduler", "--skip-serve-logs"),
        ask=airflow.ask("scheduler"),
        address=lambda settings: "",
        # its tasks need what the core serves: they end before that does
        after=("airflow-api-server", "spark-worker", "store", "catalog"),
        external=("airflow_url",),
        start_seconds=180,
        # it waits for its running tasks, which may take an hour and may be repeated
        stop_seconds=15,
    ),
)
