"""docker-compose.yml says what the code says: same settings, versions and ports, loopback alone, no default secret."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from catalog.secrets import load_secrets
from catalog.settings import PROJECT, Settings
from connectors.configuration import connector_configuration
from stack import airflow, commands, configuration, prometheus, spark, trino
from stack.components import COMPONENTS, component

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SETTINGS = {f"LAKE_{name}".upper(): field.default for name, field in Settings.model_fields.items()}
ONE_SHOT = {"bucket", "setup", "agent", "airflow-database"}
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|ROOT_USER|CURSOR_KEY|DASHBOARD_KEY|PSEUDONYM_KEY")
CORE_BYTES = 8 << 30
EMBEDDED = (
    *("kafka_controller_port", "s3_internal_port", "spark_master_port", "spark_worker_port"),
    *(f"{name}_metrics_port" for name in ("kafka", "connect", "catalog", "stream")),
    *("object_store", "spark_secret_key", "java_home", "java25_home", "ivy_settings"),
)
"""Settings without a meaning for containers, which have programs, ports and a network of their own."""
OF_OTHERS = (
    *(f"source_{name}" for name in ("example", "admin", "sslmode", "ca_file")),
    *(f"kafka_{name}" for name in ("security", "mechanism", "user", "password", "ca_file", "replication")),
    *(f"catalog_{name}" for name in ("warehouse", "credential", "scope", "oauth2_uri", "token")),
    *("connect_cdc_password", "s3_path_style", "api_key"),
)
"""How to reach what others run; here everything is run by the services."""


def interpolated(value: Any, given: dict[str, str]) -> str:
    """A value as compose understands it: defaults and required variables filled, `$$` made `$`."""

    def fill(match: re.Match[str]) -> str:
        name, operator, rest = match["name"], match["operator"], match["rest"]
        if name in given:
            return given[name]
        assert operator == ":-", f"{name} is required"
        return rest

    filled = re.sub(r"(?<!\$)\$\{(?P<name>\w+)(?P<operator>:[-?])(?P<rest>[^}]*)\}", fill, str(value))
    return filled.replace("$$", "$")


def required() -> set[str]:
    return set(re.findall(r"\$\{(\w+):\?", (PROJECT / "docker-compose.yml").read_text()))


def environment(service: str) -> dict[str, str]:
    """The variables of a service, without those that are only passed on."""
    given = {name: f"{name.lower()}-of-test" for name in required()}
    variables = SERVICES[service].get("environment", {})
    return {name: interpolated(value, given) for name, value in variables.items() if value is not None}


def properties(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("'") for key, value in (line.split("=", 1) for line in lines)}


def jvm_flags(command: commands.Command) -> set[str]:
    return {argument for argument in command.arguments if argument.startswith(("-X", "-Dfile.encoding="))}


@pytest.fixture(autouse=True)
def generated_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets that are not given lie in the services' state folder, which this machine may have too."""
    monkeypatch.setattr("catalog.settings.load_secrets", lambda folder: load_secrets(tmp_path))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings as the streaming job reads them in its container, and the secrets that it is not given."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in (environment("setup") | environment("stream")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKE_CATALOG_PASSWORD", environment("postgres")["LAKE_CATALOG_PASSWORD"])
    return Settings(_env_file=None)


def test_ports_are_those_of_the_settings_and_on_loopback() -> None:
    published = {}
    for service, described in SERVICES.items():
        for port in described.get("ports", []):
            match = re.fullmatch(r"127\.0\.0\.1:(?:\$\{(LAKE_\w+_PORT):-(\d+)\}|(\d+)):(\d+)", port)
            assert match, port
            published[match[1] or service] = (int(match[2] or match[3]), int(match[4]))
    assert published.pop("kafka-ui") == (9021, 8080) and published.pop("grafana") == (3000, 3000), "without a setting"
    assert published == {name: (SETTINGS[name], SETTINGS[name]) for name in published}
    internal = {"LAKE_KAFKA_CONTROLLER_PORT", "LAKE_S3_INTERNAL_PORT", "LAKE_SOURCE_PORT"}
    internal |= {"LAKE_SPARK_MASTER_PORT", "LAKE_SPARK_WORKER_PORT"}
    internal |= {name for name in SETTINGS if name.endswith("_METRICS_PORT")}
    assert set(published) == {name for name in SETTINGS if name.endswith("_PORT")} - internal


def test_every_lake_variable_is_a_setting_with_its_own_default() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    assert set(re.findall(r"^ +(LAKE_\w+):", text, re.MULTILINE)) <= set(SETTINGS)
    assert set(re.findall(r"\$\{?(\w+)", text.replace("$$", ""))) <= set(SETTINGS)
    defaults = dict(re.findall(r"\$\{(LAKE_\w+):-([^}]*)\}", text))
    assert defaults.pop("LAKE_SPARK_DRIVER_MEMORY") == "2g", "the one that must fit into a container"
    assert defaults == {name: str(SETTINGS[name]) for name in defaults}


def test_every_setting_can_be_given_here_unless_it_is_of_the_embedded_stack_or_of_own_components() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    missing = {name for name in SETTINGS if not re.search(rf"\b{name}\b", text)}
    assert missing == {f"LAKE_{name}".upper() for name in (*EMBEDDED, *OF_OTHERS)}


def test_no_secret_has_a_value_here() -> None:
    variables = [each for service in SERVICES.values() for each in service.get("environment", {}).items()]
    secrets = [(name, value) for name, value in variables if SECRET.search(name)]
    assert len(secrets) > 12
    for name, value in secrets:
        assert re.fullmatch(r"\$\{LAKE_[A-Z0-9_]+:\?[^}]+\}", value), name
    lines = [line for line in (PROJECT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert {name: value for name, _, value in (line.partition("=") for line in lines)} == dict.fromkeys(required(), "")


def test_the_code_finds_the_services(settings: Settings) -> None:
    kafka = environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INTERNAL://{settings.kafka}," in kafka
    for service in ("connect", "kafka-ui"):
        assert settings.kafka in environment(service).values()
    assert settings.source_host == "postgres"
    for address, service in ((settings.connect, "connect"), (settings.s3, "minio"), (settings.catalog, "rest-catalog")):
        host, port = re.fullmatch(r"http://([\w-]+):(\d+)", address).groups()
        assert host == service
        assert any(published.endswith(f":{port}") for published in SERVICES[service]["ports"])
    assert environment("bucket")["AWS_ENDPOINT_URL"] == settings.s3
    assert environment("bucket")["BUCKET"] == settings.bucket
    told = SERVICES["setup"]["environment"].items() - SERVICES["stream"]["environment"].items()
    assert dict(told).keys() == {"LAKE_POSTGRES_PASSWORD"}, "set-up and stream must agree on all else"


def test_the_api_and_the_dashboard_are_run_as_the_embedded_ones(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("api", "dashboard"):
        embedded = component(name).command(settings).arguments
        assert SERVICES[name]["command"] == ["python", *embedded[embedded.index("-m") :]]
    for name, value in environment("dashboard").items():
        monkeypatch.setenv(name, value)
    told = Settings(_env_file=None)
    assert told.api == "http://api:8000" and SERVICES["api"]["ports"][0].endswith(":8000")
    keys = [environment(name)["LAKE_DASHBOARD_KEY"] for name in ("api", "dashboard")]
    assert told.dashboard_key is not None
    assert keys[0] == keys[1] == told.dashboard_key.get_secret_value()
    assert not [name for name in environment("api") if "PASSWORD" in name], "it reads tables, no database"


def test_connect_reads_the_secret_where_the_connector_says(settings: Settings) -> None:
    file = environment("connect")["CONNECT_CONFIG_PROVIDERS_FILE_PARAM_ALLOWED_PATHS"]
    connector = connector_configuration(settings, [("public", "trips")])
    assert connector["database.password"] == f"${{file:{file}:cdc.password}}"
    assert connector["database.hostname"] == "postgres" and connector["database.port"] == "5432"
    assert str(Path(file).parent) in SERVICES["connect"]["tmpfs"]


def test_connects_start_writes_the_secret_for_itself_alone(tmp_path: Path) -> None:
    file, start = tmp_path / "secrets", tmp_path / "start"
    start.write_text('#!/bin/sh\nprintf "%s|" "${LAKE_CDC_PASSWORD-gone}" "$@"\n')
    start.chmod(0o755)
    given = {"CONNECT_START": str(start), "LAKE_CDC_PASSWORD": "a\\b$c d", "PATH": "/usr/bin:/bin"}
    given["CONNECT_CONFIG_PROVIDERS_FILE_PARAM_ALLOWED_PATHS"] = str(file)
    script = PROJECT / "docker" / "connect" / "start.sh"
    done = subprocess.run(["bash", script, "start"], env=given, capture_output=True, text=True, check=True)
    assert file.read_text() == "cdc.password=a\\\\b$c d\n" and file.stat().st_mode & 0o777 == 0o600
    assert done.stdout == "gone|start|"


def assert_the_agent_tells_the_same(option: str, command: commands.Command) -> None:
    """Jar, port and rules; inside a container it listens on every address, and no port is published."""
    (embedded,) = [argument for argument in command.arguments if argument.startswith("-javaagent:")]
    jar, port, rules = re.fullmatch(r"-javaagent:(.+)=(?:.+:)?(\d+):(.+)", embedded).groups()
    given = re.fullmatch(r"-javaagent:(.+)=(\d+):(.+)", option).groups()
    assert [Path(given[0]).name, given[1], Path(given[2]).name] == [Path(jar).name, port, Path(rules).name]


def test_prometheus_asks_the_services_for_what_the_embedded_one_asks() -> None:
    asked = yaml.safe_load((PROJECT / "docker" / "prometheus.yml").read_text())
    (static,) = asked["scrape_configs"]
    targets = {each["labels"]["job"]: each["targets"][0] for each in static["static_configs"]}
    ports = {job: int(target.rpartition(":")[2]) for job, target in targets.items()}
    assert ports == {job: Settings.model_fields[f"{name}_port"].default for job, name in prometheus.JOBS.items()}
    assert {target.partition(":")[0] for target in targets.values()} <= {*SERVICES, "localhost"}
    embedded = yaml.safe_load(configuration.render("prometheus.yml", {"alerts": "a", "targets": "t"}))
    assert embedded["global"] == asked["global"]
    assert set(prometheus.KEPT) < set(SERVICES["prometheus"]["command"])


def test_the_broker_is_configured_as_the_embedded_one(settings: Settings) -> None:
    values = {"host": "host", "kafka_port": 1, "controller_port": 2, "kafka_dir": "dir"}
    embedded = properties(configuration.render("server.properties", values))
    given = environment("kafka")
    flags = f"{given.pop('KAFKA_HEAP_OPTS')} {given.pop('KAFKA_JVM_PERFORMANCE_OPTS')}".split()
    assert_the_agent_tells_the_same(given.pop("KAFKA_OPTS"), commands.kafka_command(settings))
    here = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in given.items()}
    own = {key for key in embedded | here if embedded.get(key) != here.get(key)}
    assert own == {
        "advertised.listeners",
        "controller.quorum.bootstrap.servers",  # the image formats its storage with fixed voters
        "controller.quorum.voters",
        "inter.broker.listener.name",
        "listener.security.protocol.map",
        "listeners",
        "log.dirs",
    }
    assert set(flags) == jvm_flags(commands.kafka_command(settings))


def test_the_worker_is_configured_as_the_embedded_one(settings: Settings) -> None:
    values = dict.fromkeys(("host", "connect_port", "plugins", "secrets_file"), "elsewhere")
    own = {"group": configuration.CONNECT_GROUP, "replication": settings.kafka_replication}
    values |= own | {"clients": "bootstrap.servers=elsewhere"}
    embedded = properties(configuration.render("connect.properties", values))
    given = environment("connect")
    del given["LAKE_CDC_PASSWORD"]
    flags = f"{given.pop('HEAP_OPTS')} {given.pop('KAFKA_JVM_PERFORMANCE_OPTS')}".split()
    assert_the_agent_tells_the_same(given.pop("KAFKA_OPTS"), commands.connect_command(settings))
    given["REST_ADVERTISED_HOST_NAME"] = given.pop("ADVERTISED_HOST_NAME")
    here = {name.removeprefix("CONNECT_").lower().replace("_", "."): value for name, value in given.items()}
    own = {key for key in embedded | here if embedded.get(key) != here.get(key)}
    assert own == {
        "bootstrap.servers",
        "config.providers.file.param.allowed.paths",
        "listeners",
        "plugin.path",  # the image's own
        "rest.advertised.host.name",
    }
    assert set(flags) == jvm_flags(commands.connect_command(settings))


def test_minio_is_started_as_the_embedded_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "minio").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = commands.store_command(settings.model_copy(update={"object_store": "minio"}))
    given = environment("minio")
    assert given.pop("MC_CONFIG_DIR"), "of the health check's client"
    assert given == dict(command.environment)
    _, verb, folder, *addresses = command.arguments
    assert SERVICES["minio"]["command"][:2] == [verb, "/data"] and Path(folder).name == "minio"
    here = [word.replace("127.0.0.1", "") for word in addresses]
    assert SERVICES["minio"]["command"][2:] == here


def test_postgres_is_configured_as_the_embedded_one() -> None:
    embedded = properties(configuration.render("postgresql.conf", {"host": "host", "postgres_port": 1}))
    program, *arguments = SERVICES["postgres"]["command"]
    assert program == "postgres" and set(arguments[::2]) == {"-c"}
    here = {key: value.strip() for key, value in (argument.split("=", 1) for argument in arguments[1::2])}
    own = {key for key in embedded | here if embedded.get(key, "").strip() != here.get(key)}
    assert own == {"listen_addresses", "port", "unix_socket_directories"}
    assert SERVICES["postgres"]["environment"]["POSTGRES_USER"] == "postgres"


def test_the_rest_catalog_is_started_as_the_embedded_one(settings: Settings) -> None:
    given = environment("rest-catalog")
    command = commands.catalog_command(settings.model_copy(update={"host": "postgres"}))
    assert_the_agent_tells_the_same(given.pop("JAVA_TOOL_OPTIONS"), command)
    different = {key for key in given | dict(command.environment) if given.get(key) != command.environment.get(key)}
    assert different == {"REST_HOST"}
    started = re.search(r'CMD \["java",(.*?)\]', (PROJECT / "docker" / "Dockerfile").read_text(), re.DOTALL)
    words = re.findall(r'"([^"]+)"', started[1])
    assert {word for word in words if word.startswith("-X")} == jvm_flags(command)
    assert words[-1] == command.arguments[-1]


@pytest.mark.parametrize(("service", "embedded"), [("spark-master", "master"), ("spark-worker", "worker")])
def test_spark_is_started_as_the_embedded_one(tmp_path: Path, service: str, embedded: str) -> None:
    command = getattr(spark, f"{embedded}_command")(Settings(_env_file=None, state_dir=tmp_path))
    _, *here = SERVICES[service]["command"]
    here = [interpolated(word, {}) for word in here]
    different = {a for a, b in zip(command.arguments[1:], here, strict=True) if a != b}
    assert different <= {"127.0.0.1", f"{tmp_path}/spark/work", "spark://127.0.0.1:7077"}
    for name in ("SPARK_DAEMON_MEMORY", f"SPARK_{embedded.upper()}_OPTS"):
        assert environment(service)[name].split() == command.environment[name].split()
    assert "7077" not in str(SERVICES[service]["ports"]), "who reaches the master may run code in the workers"


def test_airflows_processes_are_the_embedded_ones_and_share_what_they_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {name for name in SERVICES if name.startswith("airflow-")} - ONE_SHOT
    assert ours == {each.name for each in COMPONENTS if each.name.startswith("airflow-")}
    for name in ours:
        program, *embedded = component(name).command(Settings(_env_file=None)).arguments
        assert Path(program) == airflow.PROGRAM
        started = SERVICES[name]["command"]
        assert started[:3] == ["python", "-m", "stack.run_airflow"] and started[3 : 3 + len(embedded)] == embedded
        assert SERVICES[name]["volumes"] == ["state:/var/lib/lakehouse"]
        assert environment(name) == environment("airflow-scheduler")
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment("airflow-scheduler").items():
        monkeypatch.setenv(name, value)
    given = airflow.environment(Settings(_env_file=None))
    assert given["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8080", "where a browser on the host finds it"
    assert given["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-api-server:8080/execution/"
    assert "@postgres:5432/airflow" in given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert '"spark://spark-master"' in given["AIRFLOW_CONN_SPARK_DEFAULT"]


def test_trino_is_given_what_the_embedded_one_is(settings: Settings) -> None:
    given = environment("trino")
    told = trino.environment(settings)
    assert {name: value for name, value in told.items() if given[name] != value} == {}
    assert settings.trino == f"http://trino:{given['TRINO_PORT']}"
    asked = set(re.findall(r"\$\{ENV:(\w+)\}", "".join(file.read_text() for file in trino.FILES.rglob("*.properties"))))
    assert asked == set(given) == set(told)
    assert environment("api")["LAKE_TRINO_URL"] == settings.trino, "for LAKE_API_ENGINE=trino"
    assert SERVICES["trino"]["volumes"] == ["./stack/templates/trino:/etc/trino:ro"]


def test_versions_are_fixed_and_those_of_the_jars() -> None:
    jars = {
        each.attrib["name"]: each.attrib["rev"]
        for each in ElementTree.parse(PROJECT / "jars/ivy.xml").iter("dependency")
    }
    server = ElementTree.parse(PROJECT / "jars/trino/ivy.xml").iter("dependency")
    assert {each.attrib["rev"] for each in server} == {SERVICES["trino"]["image"].rpartition(":")[2]}
    tags = {name: service["image"].rpartition(":")[2] for name, service in SERVICES.items()}
    assert tags["kafka"] == jars["kafka_2.13"] == jars["connect-runtime"]
    assert tags["connect"] == jars["debezium-connector-postgres"]
    bases = re.findall(r"^FROM (\S+)", (PROJECT / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    assert bases[0].startswith("python:3.11.")
    for tag in [*tags.values(), bases[0].rpartition(":")[2]]:
        assert re.search(r"\d+\.\d+\.\d+|\d+\.\d+|\d{4}-\d\d-\d\d|^\d{3}$", tag) and "latest" not in tag, tag
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    own = {name for name, service in SERVICES.items() if service["image"].startswith("lakehouse/")}
    assert {"rest-catalog", "stream", "setup", "spark-worker", "airflow-scheduler"} <= own
    assert {tags[name] for name in own} == {project["version"]}


def test_every_service_is_asked_or_ends() -> None:
    awaited = {
        name: wait["condition"] for each in SERVICES.values() for name, wait in each.get("depends_on", {}).items()
    }
    for name, service in SERVICES.items():
        if name in ONE_SHOT:
            assert service["restart"] == "no" and awaited[name] == "service_completed_successfully"
        else:
            assert service["restart"] == "unless-stopped" and service["healthcheck"]["test"]
            assert awaited.get(name, "service_healthy") == "service_healthy"


def test_the_core_fits_into_8_gigabytes() -> None:
    core = {
        name: int(service["mem_limit"].removesuffix("m"))
        for name, service in SERVICES.items()
        if "profiles" not in service
    }
    assert "kafka-ui" not in core and len(core) == 9
    assert sum(core.values()) << 20 <= CORE_BYTES
    for name, heap in (("kafka", 768), ("connect", 768), ("rest-catalog", 512), ("stream", 2048)):
        assert core[name] >= 1.3 * heap


def test_no_service_may_do_more_than_it_must() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service), name
        assert not [volume for volume in service.get("volumes", []) if ".sock" in volume], name


def test_only_packages_go_into_the_images() -> None:
    allowed = (PROJECT / ".dockerignore").read_text().splitlines()
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    assert "*" in allowed
    assert {line[1:] for line in allowed if line.startswith("!")} == {
        *("requirements", "jars", "dags", "data", "scripts/batch-job.py"),
        *packages,
    }
    assert allowed.index("jars/lib") > allowed.index("!jars")
