"""Rendered files hold what settings say, and secrets only where their owner alone may read them."""

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from catalog.errors import ConfigurationError
from catalog.settings import Settings
from lake.log_reader import last_lines
from stack import commands, configuration, supervision
from stack.components import COMPONENTS


def properties(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_worker_lets_connectors_read_one_file_and_override_four_keys(tmp_path: Path):
    settings = Settings(state_dir=tmp_path, port_offset=20000)
    configuration.write_connect(settings)
    worker = properties(tmp_path / "config" / "connect.properties")
    secrets = tmp_path / "config" / configuration.CONNECT_SECRETS
    assert worker["config.providers.file.param.allowed.paths"] == str(secrets)
    assert worker["connector.client.config.override.policy"] == "Allowlist"
    assert worker["exactly.once.source.support"] == "enabled"
    assert properties(secrets) == {"cdc.password": settings.secrets.cdc}
    assert settings.secrets.cdc not in (tmp_path / "config" / "connect.properties").read_text()


def test_rendered_files_are_for_their_owner_alone(tmp_path: Path):
    settings = Settings(state_dir=tmp_path)
    configuration.write_kafka(settings)
    configuration.write_connect(settings)
    for path in (tmp_path / "config").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_writing_the_same_again_is_no_change(tmp_path: Path):
    assert configuration.write_kafka(Settings(state_dir=tmp_path))
    assert not configuration.write_kafka(Settings(state_dir=tmp_path))
    assert configuration.write_kafka(Settings(state_dir=tmp_path, kafka_port=9192))


def test_components_that_share_a_file_may_write_it_at_the_same_time(tmp_path: Path):
    together = Barrier(8)

    def write(path: Path) -> bool:
        together.wait()
        return configuration.write(path, "text")

    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            path = tmp_path / str(number) / "shared"
            assert any(list(pool.map(write, [path] * 8)))
            assert list(path.parent.iterdir()) == [path]


def test_no_command_line_holds_a_secret(tmp_path: Path):
    settings = Settings(state_dir=tmp_path)
    secrets = settings.secrets.model_dump().values()
    for component in COMPONENTS:
        line = " ".join(component.command(settings).arguments)
        assert not [secret for secret in secrets if secret in line], component.name


def test_the_stream_gets_the_settings_that_were_given(tmp_path: Path):
    settings = Settings(state_dir=tmp_path, port_offset=30000, taxi_password='it\'s 5% "x"')
    environment = next(c for c in COMPONENTS if c.name == "stream").command(settings).environment
    assert environment["LAKE_PORT_OFFSET"] == "30000"
    assert environment["LAKE_TAXI_PASSWORD"] == 'it\'s 5% "x"'
    assert environment["LAKE_STATE_DIR"] == str(tmp_path)


def test_a_long_state_folder_moves_the_socket_where_its_path_fits(tmp_path: Path):
    settings = Settings(state_dir=tmp_path / ("x" * 100))
    path = supervision.socket_path(settings)
    assert len(str(path)) <= supervision.LONGEST_SOCKET_PATH
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path != supervision.socket_path(Settings(state_dir=tmp_path / ("y" * 100)))
    for folder in (path.parent, supervision.socket_path(Settings(state_dir=tmp_path / ("y" * 100))).parent):
        folder.rmdir()


def test_a_percent_sign_in_the_state_folder_is_no_expansion(tmp_path: Path):
    rendered = supervision.Supervisor(Settings(state_dir=tmp_path / "100%d")).rendered()
    assert "100%%d" in rendered


def test_a_state_folder_that_supervisord_cannot_hold_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be used"):
        supervision.Supervisor(Settings(state_dir=tmp_path / "a;b")).rendered()


def test_a_command_told_in_another_order_is_the_same(tmp_path: Path):
    supervisor = supervision.Supervisor(Settings(state_dir=tmp_path))

    def changed(environment: dict[str, str]) -> bool:
        command = commands.Command(("true",), environment)
        return supervisor.write_command(replace(COMPONENTS[0], command=lambda settings: command))

    assert changed({"LAKE_A": "1", "LAKE_B": "2"})
    assert not changed({"LAKE_B": "2", "LAKE_A": "1"})
    assert changed({"LAKE_A": "1"})


def test_the_last_lines_of_a_log_are_whole_however_long(tmp_path: Path):
    log = tmp_path / "kafka.log"
    log.write_text("".join(f"{n} {'x' * 5000}\n" for n in range(50)))
    assert [line.split()[0] for line in last_lines(log, 3)] == ["47", "48", "49"]
    assert len(last_lines(log, 500)) == 50
