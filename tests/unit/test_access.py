"""Own components are reached as the settings say: each client gets its words for one login, and secrets stay apart."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import psycopg
import pytest

from catalog import access
from catalog.errors import ComponentError, ConfigurationError
from catalog.session import submit_properties
from catalog.settings import Settings
from connectors.configuration import connector_configuration
from connectors.source import MIRRORED, wanted_tables
from stack import configuration, health, preflight, trino
from stack.components import chosen, component

PASSWORD = 'it\'s "5\\" %'


def given(folder: Path, **settings: object) -> Settings:
    return Settings(_env_file=None, state_dir=folder, **settings)


def test_an_embedded_broker_is_reached_without_a_login(tmp_path: Path):
    settings = given(tmp_path, port_offset=10000)
    assert access.kafka_client(settings) == access.kafka_java(settings) == {"bootstrap.servers": "127.0.0.1:19092"}


def test_kafka_s_login_is_told_in_the_words_of_either_client(tmp_path: Path):
    settings = given(
        tmp_path,
        kafka_bootstrap="one:9092,two:9092",
        kafka_security="SASL_SSL",
        kafka_user="lake",
        kafka_password=PASSWORD,
        kafka_ca_file="/etc/ca.pem",
    )
    assert access.kafka_client(settings) == {
        "bootstrap.servers": "one:9092,two:9092",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/etc/ca.pem",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "lake",
        "sasl.password": PASSWORD,
    }
    told = access.kafka_java(settings)
    assert told["ssl.truststore.location"] == "/etc/ca.pem" and told["ssl.truststore.type"] == "PEM"
    assert told["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
        ' username="lake" password="it\'s \\"5\\\\\\" %";'
    )
    configuration.write_connect(settings)
    worker = (tmp_path / "config" / "connect.properties").read_text()
    for prefix in ("", "producer.", "consumer.", "admin."):
        assert f"\n{prefix}sasl.mechanism=SCRAM-SHA-512\n" in worker


def test_a_broker_that_asks_for_a_login_names_the_settings_that_are_missing(tmp_path: Path):
    with pytest.raises(ConfigurationError) as refused:
        access.kafka_client(given(tmp_path, kafka_security="SASL_PLAINTEXT"))
    assert "LAKE_KAFKA_USER" in refused.value.remedy


def test_the_catalog_s_login_reaches_engines_and_no_command_line(tmp_path: Path):
    settings = given(
        tmp_path,
        catalog_uri="http://there/api",
        catalog_credential="me:s3cr3t",
        catalog_warehouse="lake",
        java_home="/",
    )
    properties = access.catalog_properties(settings)
    assert properties["oauth2-server-uri"] == "http://there/api/v1/oauth/tokens"
    assert properties["warehouse"] == "lake" and "s3cr3t" not in str(properties)
    assert access.catalog_secrets(settings) == {"credential": "me:s3cr3t"}
    trino.prepare(settings)
    written = (tmp_path / "config" / "trino-catalog" / "iceberg.properties").read_text()
    assert "iceberg.rest-catalog.security=OAUTH2\n" in written and "s3cr3t" not in written
    assert "iceberg.rest-catalog.oauth2.credential=${ENV:CATALOG_CREDENTIAL}\n" in written
    assert "iceberg.rest-catalog.oauth2.token-exchange-enabled=false\n" in written
    assert trino.environment(settings)["CATALOG_CREDENTIAL"] == "me:s3cr3t"


def test_a_catalog_without_a_login_is_told_of_none(tmp_path: Path):
    settings = given(tmp_path)
    trino.prepare(settings)
    written = (tmp_path / "config" / "trino-catalog" / "iceberg.properties").read_text()
    assert "OAUTH2" not in written and "iceberg.rest-catalog.warehouse" not in written
    assert access.catalog_properties(settings) == {"uri": settings.catalog} and access.catalog_login(settings) == {}


def test_a_credential_of_another_form_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="id:secret"):
        access.credential(given(tmp_path, catalog_credential="s3cr3t"))


def test_buckets_in_the_host_s_name_are_told_to_spark(tmp_path: Path):
    settings = given(
        tmp_path, s3_endpoint="https://s3.eu-west-1.amazonaws.com", s3_path_style=False, s3_region="eu-west-1"
    )
    told = submit_properties(settings)
    assert told["spark.sql.catalog.iceberg.s3.path-style-access"] == "false"
    assert told["spark.sql.catalog.iceberg.client.region"] == "eu-west-1"


@pytest.mark.parametrize("password", ["plain", PASSWORD, ""])
def test_a_password_of_any_letters_survives_the_connection_string(tmp_path: Path, password: str):
    settings = given(tmp_path, source_host="db.example", cdc_password=password, source_sslmode="verify-full")
    told = psycopg.conninfo.conninfo_to_dict(settings.source_dsn("cdc"))
    assert (told["password"], told["port"], told["sslmode"]) == (password, "5432", "verify-full")


def test_the_connector_is_told_of_a_source_and_a_connect_of_others(tmp_path: Path):
    settings = given(
        tmp_path,
        source_host="db.example",
        source_sslmode="verify-ca",
        source_ca_file="/etc/ca.pem",
        connect_cdc_password="${env:CDC}",
        kafka_replication=3,
    )
    told = connector_configuration(settings, [("public", "trips")])
    assert (told["database.hostname"], told["database.port"]) == ("db.example", "5432")
    assert (told["database.sslmode"], told["database.sslrootcert"]) == ("verify-ca", "/etc/ca.pem")
    assert told["database.password"] == "${env:CDC}"
    assert told["topic.creation.default.replication.factor"] == "3"


def test_a_database_of_others_gets_no_example(tmp_path: Path):
    assert not set(MIRRORED) & set(wanted_tables(given(tmp_path, source_example=False)))


def test_the_doctor_asks_for_logins_before_it_knocks(tmp_path: Path):
    settings = given(tmp_path, s3_endpoint="http://there", source_host="db.example", port_offset=50000)
    found = {check.name: check for check in preflight.run(settings, chosen()) if check.state == "fail"}
    assert {"LAKE_S3_ACCESS_KEY", "LAKE_S3_SECRET_KEY", "LAKE_TAXI_PASSWORD", "LAKE_CDC_PASSWORD"} <= set(found)


def test_the_doctor_names_the_setting_of_what_does_not_answer(tmp_path: Path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        settings = given(tmp_path, connect_url=address, port_offset=50000)
        (check,) = [check for check in preflight.run(settings, (component("connect"),)) if check.name == "own"]
    assert check.state == "fail" and address in check.found and "LAKE_CONNECT_URL" in check.remedy


class _Guarded(BaseHTTPRequestHandler):
    """A token endpoint, and a REST catalog that asks for its token."""

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        known = (form["client_id"], form["client_secret"], form["scope"]) == ("me", "s3cr3t", "all")
        self._answer(200 if known else 401, {"access_token": "t0ken"} if known else {"error": "invalid_client"})

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Bearer t0ken" and "warehouse=lake" in self.path
        self._answer(200 if known else 401, {})

    def _answer(self, status: int, body: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def guarded() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_catalog_that_asks_for_oauth2_is_healthy_with_the_right_credential_alone(tmp_path: Path, guarded: str):
    asked = {"catalog_uri": guarded, "catalog_warehouse": "lake", "catalog_scope": "all"}
    assert health.check(health.ask_catalog, given(tmp_path, **asked, catalog_credential="me:s3cr3t")).healthy
    assert health.check(health.ask_catalog, given(tmp_path, **asked, catalog_token="t0ken")).healthy
    stranger = health.check(health.ask_catalog, given(tmp_path, **asked))
    assert not stranger.healthy and "LAKE_CATALOG_CREDENTIAL" in stranger.remedy
    with pytest.raises(ComponentError, match="gives no token") as refused:
        access.catalog_login(given(tmp_path, **asked, catalog_credential="me:wr0ng"))
    assert "wr0ng" not in str(refused.value) and "LAKE_CATALOG_SCOPE" in refused.value.remedy
