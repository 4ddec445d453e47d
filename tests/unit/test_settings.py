"""Settings come from LAKE_ variables, unknown ones are refused, ports move together, secrets stay and stay private."""

import json
import os
import stat

import pytest

from catalog.errors import ConfigurationError
from catalog.secrets import load_secrets
from catalog.settings import Settings, load_settings


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Only the variables that a test sets; no .env, and state in a folder of its own."""

    for name in [name for name in os.environ if name.startswith("LAKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("LAKE_STATE_DIR", str(tmp_path / "state"))
    return monkeypatch


def test_defaults(environment):
    settings = load_settings()
    assert (settings.port("postgres"), settings.kafka, settings.s3) == (5432, "127.0.0.1:9092", "http://127.0.0.1:9000")
    assert settings.warehouse == "s3://lakehouse/warehouse"


def test_an_unknown_variable_is_refused_with_what_was_meant(environment):
    environment.setenv("LAKE_PORT_OFSET", "10000")
    with pytest.raises(ConfigurationError, match="unknown setting LAKE_PORT_OFSET") as refused:
        load_settings()
    assert refused.value.remedy == "did you mean LAKE_PORT_OFFSET?"


def test_an_unknown_variable_like_no_other_names_where_to_look(environment):
    environment.setenv("LAKE_QQQQQ", "1")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert "did you mean" not in refused.value.remedy
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAKE_PORT_OFFSET", "1234"),
        ("LAKE_PORT_OFFSET", "60000"),
        ("LAKE_PORT_OFFSET", "x"),
        ("LAKE_OBJECT_STORE", "floppy"),
        ("LAKE_SLICE_BYTES", "10"),
    ],
)
def test_a_wrong_value_names_its_variable(environment, name, value):
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


def test_the_offset_moves_every_default_port(environment):
    ports = [
        name.removesuffix("_port") for name in Settings.model_fields if name.endswith("_port") and name != "source_port"
    ]
    before = {name: load_settings().port(name) for name in ports}
    environment.setenv("LAKE_PORT_OFFSET", "20000")
    settings = load_settings()
    assert {name: settings.port(name) - 20000 for name in ports} == before
    assert settings.kafka == "127.0.0.1:29092"


def test_a_line_of_the_env_file_that_no_setting_has_is_refused(environment, tmp_path):
    (tmp_path / ".env").write_text("LAKE_BUCKET=mine\nLAKE_NONSENSE=1\n")
    environment.setitem(Settings.model_config, "env_file", tmp_path / ".env")
    with pytest.raises(ConfigurationError, match="NONSENSE"):
        load_settings()


def test_secrets_are_generated_once_and_readable_by_their_owner_only(tmp_path):
    first = load_secrets(tmp_path / "state")
    path = tmp_path / "state" / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_secrets(tmp_path / "state") == first
    assert len(set(first.model_dump().values())) == len(first.model_dump())
    assert [entry.name for entry in path.parent.iterdir()] == ["secrets.json"]
    assert not any(secret in repr(first) for secret in first.model_dump().values())


def test_a_secret_that_was_not_known_before_is_added_to_the_others(tmp_path):
    first = load_secrets(tmp_path).model_dump()
    (tmp_path / "secrets.json").write_text(json.dumps({name: first[name] for name in first if name != "cdc"}))
    second = load_secrets(tmp_path).model_dump()
    assert {name for name in first if first[name] != second[name]} == {"cdc"}
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_given_password_takes_the_place_of_a_generated_one(environment):
    environment.setenv("LAKE_CDC_PASSWORD", "5ubst1tute")
    settings = load_settings()
    assert settings.secrets.cdc == "5ubst1tute"
    assert settings.secrets.taxi != "5ubst1tute"
    assert "5ubst1tute" not in repr(settings)
    assert "password=5ubst1tute" in settings.source_dsn("cdc")


def test_secrets_of_a_later_version_are_named_and_left_alone(tmp_path):
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps(written := {**load_secrets(tmp_path).model_dump(), "of_tomorrow": "hidden"}))
    with pytest.raises(ConfigurationError, match=r"holds of_tomorrow: a later version") as refused:
        load_secrets(tmp_path)
    assert "hidden" not in str(refused.value)
    assert json.loads(path.read_text()) == written
