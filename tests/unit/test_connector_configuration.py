"""The connector's configuration: topics by table, no secret in it, and the settings without which changes get lost."""

import re
from pathlib import Path

import pytest

from catalog.settings import Settings
from connectors.configuration import connector_configuration
from connectors.topics import MAX_RECORD_BYTES, topic_name


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path, topic_prefix="lake.house", port_offset=20000)


def configured(settings: Settings, *tables: tuple[str, str]) -> dict[str, str]:
    return connector_configuration(settings, tables)


@pytest.mark.parametrize(
    ("schema", "table", "topic"),
    [
        ("public", "trips", "lake.house.trips"),
        ("other", "trips", "lake.house.other.trips"),
        ("public_old", "trips", "lake.house.public_old.trips"),
        ("other", "public.trips", "lake.house.other.public.trips"),
    ],
)
def test_topic_regex_and_topic_name_agree(settings: Settings, schema: str, table: str, topic: str) -> None:
    configuration = configured(settings, (schema, table))
    replacement = configuration["topic.replacement"].replace("$1", r"\1")
    full = f"lake.house.{schema}.{table}"
    assert re.fullmatch(configuration["topic.regex"], full)
    assert re.sub(configuration["topic.regex"], replacement, full) == topic == topic_name("lake.house", schema, table)


def test_tables_are_patterns_that_match_themselves_alone(settings: Settings) -> None:
    tables = configured(settings, ("public", "trips"), ("public", "a,b"))["table.include.list"].split(",")
    assert len(tables) == 2
    assert re.fullmatch(tables[0], "public.trips") and not re.fullmatch(tables[0], "publicxtrips")
    assert re.fullmatch(tables[1], "public.a,b")


def test_nothing_is_left_to_fill_and_no_password_is_written(settings: Settings) -> None:
    configuration = configured(settings, ("public", "trips"))
    assert not [value for value in configuration.values() if re.search(r"@[A-Z_]+@", value)]
    assert (
        configuration["database.password"]
        == f"${{file:{settings.state_dir}/config/connect-secrets.properties:cdc.password}}"
    )
    assert settings.secrets.cdc not in str(configuration)
    assert configuration["database.port"] == "25432"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("skipped.operations", "none"),
        ("event.converting.failure.handling.mode", "fail"),
        ("offset.mismatch.strategy", "trust_offset"),
        ("exactly.once.support", "required"),
        ("decimal.handling.mode", "string"),
        ("publication.autocreate.mode", "disabled"),
        ("topic.key.enforce.uniqueness", "false"),
        ("tasks.max", "1"),
        ("producer.override.max.request.size", str(MAX_RECORD_BYTES)),
    ],
)
def test_a_setting_without_which_changes_get_lost(settings: Settings, key: str, value: str) -> None:
    assert configured(settings, ("public", "trips"))[key] == value
