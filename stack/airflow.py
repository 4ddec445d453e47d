"""Airflow: its settings, its database and its four processes, all from an environment of their own.

It says when a batch step runs; the step itself runs in this project's environment, directly or by spark-submit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import PROJECT, Settings
from stack import commands, configuration, health, postgres, spark
from stack.commands import Command

PROGRAM = PROJECT / ".venv-airflow" / "bin" / "airflow"
LOCK = PROJECT / "requirements" / "airflow.txt"
USER = "admin"
DATABASE = "airflow"
"""Name of the role and of its database."""
PARALLEL_TASKS = 4
MIGRATED = "migrated"
"""File in Airflow's folder: which packages its database was last migrated for."""


def folder(settings: Settings) -> Path:
    """Its logs and what it remembers outside its database."""
    return settings.state_dir / "airflow"


def binary() -> Path:
    """Airflow's program. Raises ConfigurationError when its environment was not made."""
    if not PROGRAM.exists():
        raise ConfigurationError(f"Airflow is not installed: there is no {PROGRAM}", remedy="scripts/setup airflow")
    return PROGRAM


def command(*arguments: str) -> Callable[[Settings], Command]:
    """How one of its processes is run."""
    return lambda settings: Command((str(PROGRAM), *arguments), environment(settings))


def environment(settings: Settings) -> dict[str, str]:
    """Airflow's options, its connections, and what the jobs that it starts need."""
    options = {
        f"AIRFLOW__{section}__{name}".upper(): str(value)
        for section, values in _options(settings).items()
        for name, value in values.items()
    }
    scripts = Path(sys.executable).parent
    jobs = {**commands.own_settings(settings), **spark.environment(settings)}
    # `python` is ours; spark-submit is looked for on the PATH, whatever else is set
    path = f"{scripts}:{commands.basic_environment('', settings).get('PATH', '')}:{jobs['SPARK_HOME']}/bin"
    webhook = settings.alert_webhook
    return {
        **jobs,
        **options,
        **_connections(settings),
        **({"AIRFLOW_VAR_ALERT_WEBHOOK": webhook.get_secret_value()} if webhook else {}),
        "AIRFLOW_HOME": str(folder(settings)),
        "PATH": path,
        "MALLOC_ARENA_MAX": "2",
        # threads that fit a model and wait for each other leave the cores to other tasks instead of spinning
        "OMP_WAIT_POLICY": "PASSIVE",
        # its processes write titles over their environment, by which we know whose they are
        "SPT_NOENV": "1",
    }


def _options(settings: Settings) -> dict[str, dict[str, object]]:
    """By section; `airflow config list --defaults` explains each."""
    key, address = settings.secrets.airflow_key, urlsplit(settings.airflow)
    login = f"{DATABASE}:{quote(settings.secrets.airflow_database, safe='')}"
    return {
        "core": _core(settings),
        "database": {
            "sql_alchemy_conn": f"postgresql+psycopg2://{login}@{settings.airflow_database}/{DATABASE}",
            # four processes share the sixty connections of the server with all others
            "sql_alchemy_pool_size": 2,
            "sql_alchemy_max_overflow": 4,
        },
        "api": {
            # where a browser finds it, which inside a container is not where tasks do
            "base_url": f"http://{settings.host}:{settings.port('airflow')}",
            "host": settings.host,
            "port": address.port or settings.port("airflow"),
            "workers": 1,
            "secret_key": _derived("session", key).hex(),
        },
        "api_auth": {"jwt_secret": _derived("token", key).hex()},
        # on two cores that Spark keeps busy an answer may take long; the default of 5 seconds fails the task
        "workers": {"execution_api_timeout": 60},
        "dag_processor": {"refresh_interval": 10, "min_file_process_interval": 120, "parsing_processes": 1},
        "logging": {
            "base_log_folder": folder(settings) / "logs",
            "colored_console_log": False,
            "uvicorn_logging_level": "WARNING",
        },
        "usage_data_collection": {"enabled": False},
    }


def _core(settings: Settings) -> dict[str, object]:
    return {
        "dags_folder": PROJECT / "dags",
        "executor": "LocalExecutor",
        "parallelism": PARALLEL_TASKS,
        "load_examples": False,
        "dagbag_import_timeout": 120,
        "dags_are_paused_at_creation": settings.airflow_paused,
        "fernet_key": base64.urlsafe_b64encode(_derived("fernet", settings.secrets.airflow_key)).decode(),
        "simple_auth_manager_users": f"{USER}:admin",
        "simple_auth_manager_passwords_file": configuration.path(settings, "airflow-passwords.json"),
        # a wrong one shows late: services are healthy and every task gets a 403
        "execution_api_server_url": f"{settings.airflow}/execution/",
    }


def _connections(settings: Settings) -> dict[str, str]:
    catalog, (scheme, _, master) = urlsplit(settings.catalog), settings.batch_spark_master.partition("://")
    host, _, port = master.rpartition(":")
    cluster = {"host": f"{scheme}://{host}", "port": int(port)} if port.isdigit() else {"host": settings.spark_master}
    spark_default = {"conn_type": "spark", **cluster, "extra": {"deploy-mode": "client"}}
    rest_catalog = {"conn_type": "http", "schema": catalog.scheme, "host": catalog.hostname, "port": catalog.port}
    return {
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(spark_default),
        "AIRFLOW_CONN_REST_CATALOG": json.dumps(rest_catalog),
    }


def prepare(settings: Settings) -> bool:
    """Write who may log in and bring the database to this version's shape; True when the former changed."""
    folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    if settings.airflow_postgres is None:
        postgres.ensure_database(settings, DATABASE, settings.secrets.airflow_database)
    passwords = json.dumps({USER: settings.secrets.airflow_admin}) + "\n"
    changed = configuration.write(configuration.path(settings, "airflow-passwords.json"), passwords)
    spark.prepare(settings)
    _migrate(settings)
    return changed


def is_new(settings: Settings) -> bool:
    """Whether it never ran in this state folder."""
    return not (folder(settings) / MIGRATED).exists()


def _migrate(settings: Settings) -> None:
    wanted, stamp = hashlib.sha256(LOCK.read_bytes()).hexdigest(), folder(settings) / MIGRATED
    if stamp.exists() and stamp.read_text() == wanted:
        return
    variables = commands.basic_environment("airflow-migration", settings) | environment(settings)
    done = subprocess.run([binary(), "db", "migrate"], env=variables, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise ComponentError(
            f"Airflow's database at {settings.airflow_database} could not be migrated: {done.stderr.strip()[-800:]}",
            remedy="mend what it says, then `lake up --with airflow` again",
        )
    configuration.write(stamp, wanted)


def ask(part: str) -> Callable[[Settings], str]:
    """Whether the API server says that this part (`metadatabase`, `scheduler` …) is well."""

    def of(settings: Settings) -> str:
        report: dict[str, Any] = health.get_json(f"{settings.airflow}/api/v2/monitor/health")[part]
        if report["status"] != "healthy":
            raise ValueError(f"Airflow says that its {part} is {report['status'] or 'not there'}")
        return f"{part} healthy"

    return of


def _derived(purpose: str, key: str) -> bytes:
    """32 bytes for one purpose, from the one secret that is kept."""
    return hashlib.sha256(f"{purpose}:{key}".encode()).digest()
