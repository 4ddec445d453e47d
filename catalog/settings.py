"""The one settings object. Every value is a `LAKE_` environment variable or a line of `.env`; unknown ones are refused.

Entry points call `load_settings()` and pass the object on; nothing else reads the environment.
"""

from __future__ import annotations

import difflib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from catalog.errors import ConfigurationError
from catalog.secrets import Secrets, load_secrets

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = PROJECT / "data"
"""Real data that ships: taxi trips, zones and weather."""
PREFIX = "LAKE_"
DEFAULT_POSTGRES_PORT = 5432
CATALOG = "iceberg"
"""Name of the Iceberg catalog in Spark, Trino and DuckDB."""
MARKER = "LAKEHOUSE_COMPONENT"
"""Variable in the environment of every process of a stack: `name@state folder`."""


class Settings(BaseSettings):
    """Where everything is and how it runs. `LAKE_STATE_DIR=/tmp/other lake up` sets `state_dir`, and so on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=PROJECT / ".env", extra="forbid", frozen=True)

    state_dir: Path = Field(PROJECT / ".lakehouse", description="all state; `rm -r` of it is a clean slate")
    port_offset: int = Field(0, ge=0, le=50000, multiple_of=10000, description="added to every default port")
    host: str = Field("127.0.0.1", description="the loopback address that everything listens on")

    postgres_port: int = 5432
    kafka_port: int = 9092
    kafka_controller_port: int = 9093
    connect_port: int = 8083
    s3_port: int = 9000
    s3_console_port: int = 9001
    s3_internal_port: int = Field(9010, description="first of ten ports that the object store uses inside")
    catalog_port: int = 8181
    spark_ui_port: int = 4040
    spark_master_port: int = 7077
    spark_master_ui_port: int = 8070
    spark_worker_port: int = 7078
    spark_worker_ui_port: int = 8071
    airflow_port: int = 8080
    api_port: int = 8000
    trino_port: int = 8090
    kafka_metrics_port: int = Field(9404, description="where the broker's Java is asked for its metrics")
    connect_metrics_port: int = Field(9405, description="the same of Kafka Connect")
    catalog_metrics_port: int = Field(9406, description="the same of the REST catalog")
    stream_metrics_port: int = Field(9407, description="where the streaming job is asked for its metrics")
    prometheus_port: int = 9090
    dashboard_port: int = 8501

    source_host: str | None = Field(None, description="the source database's host; the embedded Postgres when unset")
    source_port: int | None = Field(None, description="of a source database of yours; 5432 when unset")
    source_database: str = "taxi"
    source_example: bool = Field(True, description="make the example's tables in the source; false for one of yours")
    source_admin: str = Field(
        "postgres", description="the role that makes the others, if LAKE_POSTGRES_PASSWORD is set"
    )
    source_sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    source_ca_file: Path | None = Field(None, description="PEM file of who signed the source's certificate")
    kafka_bootstrap: str | None = Field(None, description="Kafka's bootstrap servers; the embedded broker when unset")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_user: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = Field(None, description="PEM file of who signed the brokers' certificates")
    kafka_replication: int = Field(1, ge=1, description="replicas of the topics that are made; 3 on most clusters")
    connect_url: str | None = Field(None, description="Kafka Connect's REST address; the embedded worker when unset")
    connect_cdc_password: str | None = Field(
        None, description="where that Connect finds the password of role cdc, as ${file:/path:key} of its providers"
    )
    s3_endpoint: str | None = Field(
        None, description="the S3 endpoint, as https://s3.eu-west-1.amazonaws.com; the embedded store when unset"
    )
    s3_path_style: bool = Field(True, description="bucket in the path; false where it belongs in the host's name")
    catalog_uri: str | None = Field(None, description="the REST catalog's address; the embedded server when unset")
    catalog_warehouse: str | None = Field(None, description="the warehouse that it is asked for, in Polaris a catalog")
    catalog_credential: SecretStr | None = Field(None, description="client id:secret of its OAuth2")
    catalog_scope: str = Field("catalog", description="the scope asked for with it; Polaris: PRINCIPAL_ROLE:ALL")
    catalog_oauth2_uri: str | None = Field(None, description="its token endpoint; the catalog's own when unset")
    catalog_token: SecretStr | None = Field(None, description="a bearer token, where there is no credential")
    trino_url: str | None = Field(None, description="Trino's address; the embedded server when unset")
    spark_ui_host: str | None = None
    airflow_url: str | None = Field(None, description="Airflow's address; the embedded API server when unset")
    airflow_postgres: str | None = Field(
        None, description="host:port of the Postgres with Airflow's database; the embedded one when unset"
    )

    postgres_password: SecretStr | None = Field(None, description="each *_password and key replaces a generated secret")
    taxi_password: SecretStr | None = None
    cdc_password: SecretStr | None = None
    catalog_password: SecretStr | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    airflow_admin_password: SecretStr | None = Field(None, description="of Airflow's web user `admin`")
    airflow_database_password: SecretStr | None = None
    airflow_secret_key: SecretStr | None = Field(None, description="Airflow's tokens and encryption derive from it")
    spark_secret_key: SecretStr | None = Field(None, description="what the embedded Spark master's clients must know")

    object_store: Literal["seaweedfs", "minio"] = Field("seaweedfs", description="which S3 store is embedded")
    bucket: str = "lakehouse"
    s3_region: str = "us-east-1"

    connector: str = "taxi-postgres-connector"
    slot: str = "lakehouse"
    publication: str = "lakehouse"
    topic_prefix: str = "lakehouse"

    spark_master: str | None = Field(
        None,
        description="a Spark cluster for stream and batch; unset: the stream runs local[2], batch the embedded one",
    )
    spark_driver_host: str | None = Field(
        None, description="this machine's address as that cluster's executors reach it; loopback when unset"
    )
    spark_driver_memory: str = Field("3g", description="of the stream; a batch job has 1g and an executor of 1g")
    spark_worker_memory: str = Field("2g", description="of the embedded worker: that many batch executors at once")
    trigger: str = Field("500 milliseconds", description="shortest time between two epochs")
    max_offsets_per_trigger: int = Field(100_000, ge=1, description="most Kafka records of one epoch")
    slice_bytes: int = Field(256 << 20, ge=1 << 20, description="most bytes of records held in memory at once")
    key_cache_bytes: int = Field(512 << 20, ge=0, description="most bytes of keys of mirror files held in memory")
    small_files: int = Field(4, ge=2, description="files of one size class that are merged into one beside the epochs")
    tlc_source: str = Field(
        "sample", description="taxi months: `sample`, a folder, or a URL template with {year} and {month:02d}"
    )
    weather_source: Literal["record", "open-meteo"] = Field(
        "record", description="the daily record of 2019 that ships (derived hours), or an API of Open-Meteo's shape"
    )
    weather_archive_url: str = "https://archive-api.open-meteo.com/v1/archive"
    weather_forecast_url: str = "https://api.open-meteo.com/v1/forecast"
    stream_silence_seconds: float = Field(
        60, gt=0, description="analytics fails when the streaming job has not spoken for so long"
    )
    stream_delay_seconds: float = Field(
        60, gt=0, description="analytics fails when more than 5 % of recent changes became visible later than this"
    )
    mlflow_uri: str | None = Field(None, description="MLflow's store; a SQLite file in the state folder when unset")
    airflow_paused: bool = Field(False, description="new DAGs wait to be unpaused, not run by their schedule")
    alert_webhook: SecretStr | None = Field(None, description="URL that failed batch tasks and alerts are posted to")
    api_url: str | None = Field(None, description="the API's address for its client; the local API when unset")
    api_key: SecretStr | None = Field(None, description="the client's key, made by `lake keys create`")
    api_cursor_key: SecretStr | None = Field(None, description="signs the API's page cursors; generated when unset")
    dashboard_key: SecretStr | None = Field(None, description="the dashboard's own API key; generated when unset")
    pseudonym_key: SecretStr | None = Field(
        None, description="makes the pseudonyms of masked columns; another key makes others"
    )
    api_engine: Literal["duckdb", "trino"] = Field(
        "duckdb", description="what answers the API's questions; Trino must run: lake up --with trino"
    )
    api_rate: str = Field("1200/minute", description="requests that one API key may make, in a moving window")
    api_query_seconds: float = Field(10.0, gt=0, description="longest time of one query behind the API")
    api_memory: str = Field("1GB", description="most memory of the API's queries in DuckDB; Trino has its own limit")
    java_home: Path | None = Field(None, description="a Java 17+ runtime; found on the machine when unset")
    java25_home: Path | None = Field(None, description="a full JDK 25+ for Trino; found on the machine when unset")
    ivy_settings: Path | None = Field(None, description="Ivy's resolver settings, for a mirror of Maven Central")

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().resolve()

    def port(self, name: str) -> int:
        """The port of a component, `postgres`, `kafka`, `s3` …, with the offset added."""
        return int(getattr(self, f"{name}_port")) + self.port_offset

    @cached_property
    def secrets(self) -> Secrets:
        """Generated secrets, with those given as settings in their place."""
        given = {
            "postgres": self.postgres_password,
            "taxi": self.taxi_password,
            "cdc": self.cdc_password,
            "catalog": self.catalog_password,
            "s3_access_key": self.s3_access_key,
            "s3_secret_key": self.s3_secret_key,
            "airflow_admin": self.airflow_admin_password,
            "airflow_database": self.airflow_database_password,
            "airflow_key": self.airflow_secret_key,
            "spark_key": self.spark_secret_key,
            "api_cursor_key": self.api_cursor_key,
            "dashboard_key": self.dashboard_key,
            "pseudonym_key": self.pseudonym_key,
        }
        chosen = {name: value.get_secret_value() for name, value in given.items() if value is not None}
        if len(chosen) == len(given):
            return Secrets(**chosen)
        return load_secrets(self.state_dir).model_copy(update=chosen)

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return self.kafka_bootstrap or f"{self.host}:{self.port('kafka')}"

    @property
    def connect(self) -> str:
        """Base address of Kafka Connect's REST interface."""
        return self.connect_url or f"http://{self.host}:{self.port('connect')}"

    @property
    def s3(self) -> str:
        """Address of the S3 endpoint, with its scheme."""
        return self.s3_endpoint or f"http://{self.host}:{self.port('s3')}"

    @property
    def catalog(self) -> str:
        """Base address of the REST catalog."""
        return self.catalog_uri or f"http://{self.host}:{self.port('catalog')}"

    @property
    def catalog_token_endpoint(self) -> str:
        """Where the REST catalog's clients get a token."""
        return self.catalog_oauth2_uri or f"{self.catalog.rstrip('/')}/v1/oauth/tokens"

    @property
    def airflow(self) -> str:
        """Base address of Airflow's API and web interface."""
        return self.airflow_url or f"http://{self.host}:{self.port('airflow')}"

    @property
    def api(self) -> str:
        """Base address of the API."""
        return self.api_url or f"http://{self.host}:{self.port('api')}"

    @property
    def dashboard(self) -> str:
        """Base address of the dashboard."""
        return f"http://{self.host}:{self.port('dashboard')}"

    @property
    def trino(self) -> str:
        """Base address of Trino."""
        return self.trino_url or f"http://{self.host}:{self.port('trino')}"

    @property
    def airflow_database(self) -> str:
        """`host:port` of the Postgres that holds Airflow's database `airflow`."""
        return self.airflow_postgres or f"{self.host}:{self.port('postgres')}"

    @property
    def stream_spark_master(self) -> str:
        """Where the stream, and whatever is run by hand, computes."""
        return self.spark_master or "local[2]"

    @property
    def batch_spark_master(self) -> str:
        """Where submitted batch jobs compute."""
        return self.spark_master or f"spark://{self.host}:{self.port('spark_master')}"

    @property
    def warehouse(self) -> str:
        """Root of all tables in the store."""
        return f"s3://{self.bucket}/warehouse"

    @property
    def source_address(self) -> tuple[str, int]:
        """Host and port of the source database."""
        if self.source_host is None:
            return self.host, self.source_port or self.port("postgres")
        return self.source_host, self.source_port or DEFAULT_POSTGRES_PORT

    def source_dsn(self, role: Literal["postgres", "taxi", "cdc"], database: str | None = None) -> str:
        """A libpq connection string to the source database for one role."""
        host, port = self.source_address
        given = {
            "host": host,
            "port": str(port),
            "dbname": database or self.source_database,
            "user": self.source_admin if role == "postgres" else role,
            "password": getattr(self.secrets, role),
            "sslmode": self.source_sslmode,
        }
        if self.source_ca_file is not None:
            given["sslrootcert"] = str(self.source_ca_file)
        return " ".join(f"{name}={_libpq(value)}" for name, value in given.items())


def _libpq(value: str) -> str:
    """A value in a connection string; quoted where it has to be."""
    if re.fullmatch(r"[\w./:@-]+", value, re.ASCII):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def load_settings() -> Settings:
    """Read the settings, refusing `LAKE_` variables that no setting has."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {close[0]}?" if close else "`lake doctor --settings` lists every setting"
        raise ConfigurationError(f"unknown setting {unknown[0]}", remedy=hint)
    try:
        return Settings()
    except ValidationError as invalid:
        first = invalid.errors()[0]
        name = f"{PREFIX}{'.'.join(str(part) for part in first['loc'])}".upper()
        raise ConfigurationError(
            f"{name}: {first['msg']}", remedy="correct the variable, or the line in .env, and start again"
        ) from invalid
