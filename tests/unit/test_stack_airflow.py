"""Airflow and Spark are told what settings say: on loopback, with keys of their own, in files for their owner alone."""

import base64
import json
import stat
from pathlib import Path

import pytest

from catalog.session import submit_properties
from catalog.settings import PROJECT, Settings
from stack import airflow, spark
from stack.components import component


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path, port_offset=20000)


def test_airflow_listens_and_looks_where_the_settings_say(settings: Settings):
    given = airflow.environment(settings)
    assert given["AIRFLOW__API__HOST"] == "127.0.0.1" and given["AIRFLOW__API__PORT"] == "28080"
    assert given["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:28080/execution/"
    assert given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@127.0.0.1:25432/airflow")
    assert given["AIRFLOW__CORE__DAGS_FOLDER"] == str(PROJECT / "dags")
    assert given["AIRFLOW_HOME"].startswith(str(settings.state_dir))
    catalog = json.loads(given["AIRFLOW_CONN_REST_CATALOG"])
    assert (catalog["schema"], catalog["host"], catalog["port"]) == ("http", "127.0.0.1", 28181)
    cluster = json.loads(given["AIRFLOW_CONN_SPARK_DEFAULT"])
    assert f"{cluster['host']}:{cluster['port']}" == settings.batch_spark_master == "spark://127.0.0.1:27077"


def test_a_cluster_of_others_takes_the_place_of_ours(tmp_path: Path):
    settings = Settings(_env_file=None, state_dir=tmp_path, spark_master="spark://one:7077", spark_driver_host="here")
    cluster = json.loads(airflow.environment(settings)["AIRFLOW_CONN_SPARK_DEFAULT"])
    assert (cluster["host"], cluster["port"]) == ("spark://one", 7077)
    properties = submit_properties(settings)
    assert properties["spark.master"] == "spark://one:7077" and properties["spark.driver.host"] == "here"
    assert "spark.jars" in properties and "spark.executor.extraClassPath" not in properties
    assert settings.secrets.spark_key not in properties.values()
    yarn = Settings(_env_file=None, state_dir=tmp_path, spark_master="yarn")
    assert json.loads(airflow.environment(yarn)["AIRFLOW_CONN_SPARK_DEFAULT"])["host"] == "yarn"


def test_keys_differ_by_purpose_and_stay(settings: Settings):
    first, again = airflow.environment(settings), airflow.environment(settings)
    names = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")
    keys = [first[name] for name in names]
    assert len({*keys, settings.secrets.airflow_key}) == 4 and keys == [again[name] for name in names]
    assert len(base64.urlsafe_b64decode(keys[0])) == 32


def test_jobs_find_our_python_first_and_sparks_programs_last(settings: Settings):
    given = airflow.environment(settings)
    first, *_, last = given["PATH"].split(":")
    assert (Path(first) / "python").exists() and Path(first).parent != airflow.PROGRAM.parent.parent
    assert last == f"{given['SPARK_HOME']}/bin" and (Path(last) / "spark-submit").exists()
    assert given["LAKE_STATE_DIR"] == str(settings.state_dir) and given["LAKE_PORT_OFFSET"] == "20000"


def test_a_webhook_is_passed_on_only_when_there_is_one(settings: Settings, tmp_path: Path):
    assert "AIRFLOW_VAR_ALERT_WEBHOOK" not in airflow.environment(settings)
    told = Settings(_env_file=None, state_dir=tmp_path, alert_webhook="http://127.0.0.1:1/x")
    assert airflow.environment(told)["AIRFLOW_VAR_ALERT_WEBHOOK"] == "http://127.0.0.1:1/x"


def test_what_spark_submit_reads_holds_no_key_of_the_store(settings: Settings, tmp_path: Path):
    assert spark.prepare(settings) and not spark.prepare(settings)
    file = tmp_path / "config" / "spark" / "spark-defaults.conf"
    properties = dict(line.split(" ", 1) for line in file.read_text().splitlines())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert properties == submit_properties(settings)
    assert properties["spark.cores.max"] == "1" and properties["spark.ui.enabled"] == "false"
    assert properties["spark.sql.catalog.iceberg.uri"] == settings.catalog
    assert properties["spark.authenticate.secret"] == settings.secrets.spark_key
    assert not {settings.secrets.s3_access_key, settings.secrets.s3_secret_key} & set(properties.values())


@pytest.mark.parametrize("name", ["spark-master", "spark-worker"])
def test_sparks_processes_stay_on_loopback(settings: Settings, name: str):
    command = component(name).command(settings)
    assert command.arguments[command.arguments.index("--host") + 1] == "127.0.0.1"
    assert command.environment["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert command.environment["SPARK_CONF_DIR"] == str(settings.state_dir / "config" / "spark")
    if name == "spark-master":
        assert "-Dspark.master.rest.enabled=false" in command.environment["SPARK_MASTER_OPTS"]
