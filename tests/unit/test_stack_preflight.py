"""What is wrong is named before anything is started, with what mends it."""

import os
import socket
import stat
from pathlib import Path

import pytest

from catalog import java
from catalog.errors import ConfigurationError
from catalog.settings import Settings
from stack import components, ports, preflight


def test_no_two_components_share_a_port_whatever_the_offset(tmp_path: Path):
    for offset in range(0, 50001, 10000):
        settings = Settings(state_dir=tmp_path, port_offset=offset)
        numbers = [n for each in components.COMPONENTS for n in each.port_numbers(settings).values()]
        assert len(numbers) == len(set(numbers))
        assert all(offset < number < 65536 for number in numbers)


def test_every_component_starts_after_others_that_exist_and_stands_behind_them():
    seen: set[str] = set()
    for each in components.COMPONENTS:
        assert set(each.after) <= seen
        seen.add(each.name)


def external(settings: Settings) -> set[str]:
    return {each.name for each in components.COMPONENTS if each.is_external(settings)}


def test_an_external_component_is_not_run(tmp_path: Path):
    assert not external(Settings(state_dir=tmp_path))
    assert external(Settings(state_dir=tmp_path, s3_endpoint="http://10.0.0.1:9000")) == {"store"}
    settings = Settings(state_dir=tmp_path, source_host="10.0.0.1")
    assert "postgres" not in external(settings), "the REST catalog still needs it"
    assert external(Settings(state_dir=tmp_path, spark_master="spark://a:7077")) == {"spark-master", "spark-worker"}


def test_a_group_is_there_when_it_is_asked_for():
    core = [each.name for each in components.chosen()]
    assert {"postgres", "stream"} <= set(core) and not [name for name in core if name.startswith(("airflow", "spark"))]
    more = [each.name for each in components.chosen(groups=("airflow",), without=("kafka",))]
    assert {"airflow-scheduler", "spark-worker"} <= set(more) and "kafka" not in more
    with pytest.raises(ConfigurationError, match="no group airflw") as refused:
        components.chosen(groups=("airflw",))
    assert "airflow" in refused.value.remedy


def test_what_others_stand_on_is_stopped_after_them():
    waves = components.stop_order()
    place = {name: number for number, wave in enumerate(waves) for name in wave}
    assert set(place) == {each.name for each in components.COMPONENTS}
    assert all(place[each.name] < place[before] for each in components.COMPONENTS for before in each.after)
    assert "postgres" in waves[-1]


def test_airflow_without_a_place_for_its_database_is_refused(tmp_path: Path):
    settings = Settings(state_dir=tmp_path, port_offset=50000, source_host="10.0.0.1", catalog_uri="http://10.0.0.1")
    checks = preflight.run(settings, components.chosen(groups=("airflow",)))
    named = next(check for check in checks if check.name == "Airflow")
    assert named.state == "fail" and "LAKE_AIRFLOW_POSTGRES" in named.remedy


def test_a_taken_port_names_its_holder_and_the_setting_that_moves_it(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = Settings(state_dir=tmp_path, port_offset=0, catalog_port=other.getsockname()[1])
        with pytest.raises(ConfigurationError) as refused:
            preflight.require(settings, (components.component("catalog"),))
    assert f"{settings.port('catalog')} (catalog) held by" in str(refused.value)
    assert f"(process {os.getpid()})" in str(refused.value)
    assert "LAKE_CATALOG_PORT" in refused.value.remedy


def test_a_port_taken_on_all_interfaces_is_taken():
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        assert not ports.is_free("127.0.0.1", other.getsockname()[1])


def test_an_address_that_others_can_reach_is_refused(tmp_path: Path):
    checks = preflight.run(Settings(state_dir=tmp_path, host="0.0.0.0", port_offset=50000), components.chosen())
    assert [check.state for check in checks if check.name == "address"] == ["fail"]


def test_a_java_without_spark_s_module_is_refused_by_name(tmp_path: Path):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho java.base@21.0.8\necho java.sql@21.0.8\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(ConfigurationError, match=r"lacks the module jdk\.incubator\.vector"):
        java.find_java(Settings(state_dir=tmp_path, java_home=tmp_path))


def test_an_old_java_is_refused_by_version(tmp_path: Path):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho java.base@11.0.2\necho jdk.incubator.vector@11.0.2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(ConfigurationError, match="is Java 11, 17 or newer"):
        java.find_java(Settings(state_dir=tmp_path, java_home=tmp_path))


def test_a_state_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "state").write_text("")
    checks = preflight.run(Settings(state_dir=tmp_path / "state" / "below", port_offset=50000), components.chosen())
    named = next(check for check in checks if check.name == "state folder")
    assert named.state == "fail" and "LAKE_STATE_DIR" in named.remedy
