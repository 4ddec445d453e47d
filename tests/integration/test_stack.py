"""The embedded stack as people use it: up, crash, up again, side by side, down with nothing left."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from catalog.errors import ConfigurationError
from catalog.settings import Settings
from stack import control, ports, processes, s3
from stack.components import COMPONENTS, chosen
from stack.supervision import Supervisor

WITHOUT = ("stream",)
NAMES = [each.name for each in chosen(without=WITHOUT)]
HEAL_SECONDS = 90


def on_free_ports(state_dir: Path) -> Settings:
    names = [name for name in Settings.model_fields if name.endswith("_port") and name != "source_port"]
    for shift in range(300, 900, 50):
        moved = {name: Settings.model_fields[name].default + shift for name in names}
        for offset in range(10000, 50001, 10000):
            settings = Settings(state_dir=state_dir, port_offset=offset, **moved)
            if not any(port.holder for port in ports.survey(COMPONENTS, settings)):
                return settings
    raise AssertionError("no free ports on this machine: stop a stack with `lake down`")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = on_free_ports(tmp_path_factory.mktemp("stack") / "state")
    try:
        control.up(settings, without=WITHOUT)
        yield settings
    finally:
        control.down(settings)


def running(settings: Settings) -> dict[str, control.State]:
    return {state.name: state for state in control.states(settings) if state.name not in WITHOUT}


def healed(settings: Settings, name: str, killed: int) -> control.State:
    deadline = time.monotonic() + HEAL_SECONDS
    while time.monotonic() < deadline:
        state = running(settings)[name]
        if state.healthy and state.pid != killed:
            return state
        time.sleep(0.3)
    raise AssertionError(f"{name} did not come back: {state}")


def test_every_component_answers_a_real_request(settings: Settings):
    states = running(settings)
    assert [name for name, state in states.items() if state.healthy] == NAMES
    assert all(state.pid and state.memory_bytes > 10 << 20 and state.cpu_seconds > 0 for state in states.values())


def test_up_again_changes_nothing(settings: Settings):
    before = {name: state.pid for name, state in running(settings).items()}
    control.up(settings, without=WITHOUT)
    assert {name: state.pid for name, state in running(settings).items()} == before


def test_it_listens_on_loopback_only(settings: Settings):
    own = {process.pid for process in processes.leftovers(settings)}
    listening = [c for c in psutil.net_connections("tcp") if c.pid in own and c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 12
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}


def test_no_process_shows_a_secret(settings: Settings):
    lines = " ".join(word for process in processes.leftovers(settings) for word in process.cmdline())
    assert not [secret for secret in settings.secrets.model_dump().values() if secret in lines]


def test_postgres_replicates_logically_and_knows_its_passwords(settings: Settings):
    with psycopg.connect(settings.source_dsn("postgres", "postgres")) as connection:
        shown = {
            name: connection.execute(f"show {name}").fetchone()[0] for name in ("wal_level", "fsync", "data_checksums")
        }
        assert shown == {"wal_level": "logical", "fsync": "on", "data_checksums": "on"}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(re.sub("password=.*", "password=wrong", settings.source_dsn("postgres", "postgres")))


def test_the_store_refuses_strangers(settings: Settings):
    assert s3.request(settings, "GET", "list-type=2").status_code == 200
    assert httpx.get(f"{settings.s3}/{settings.bucket}", trust_env=False).status_code == 403
    stranger = settings.model_copy(update={"s3_secret_key": None})
    stranger.__dict__["secrets"] = settings.secrets.model_copy(update={"s3_secret_key": "0" * 40})
    assert s3.request(stranger, "GET", "list-type=2").status_code == 403


def test_the_console_asks_for_a_login(settings: Settings):
    answer = httpx.get(f"http://{settings.host}:{settings.port('s3_console')}/", trust_env=False)
    assert answer.is_redirect and answer.headers["location"].endswith("/login")


def test_a_second_stack_on_the_same_ports_is_refused_by_name(settings: Settings, tmp_path: Path):
    other = settings.model_copy(update={"state_dir": tmp_path / "other"})
    with pytest.raises(ConfigurationError) as refused:
        control.up(other, without=WITHOUT)
    assert f"held by the stack in {settings.state_dir}" in str(refused.value)
    assert "LAKE_PORT_OFFSET" in refused.value.remedy
    assert not processes.leftovers(other)


def test_another_up_at_the_same_time_is_refused(settings: Settings):
    with control.exclusive(settings), pytest.raises(ConfigurationError, match="another `lake up`"):
        control.up(settings, without=WITHOUT)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_component_comes_back_by_itself(settings: Settings, name: str):
    before = running(settings)[name]
    assert before.pid
    os.kill(before.pid, signal.SIGKILL)
    after = healed(settings, name, before.pid)
    assert after.restarts == before.restarts + 1


def test_what_was_committed_survives_a_kill_of_postgres(settings: Settings):
    with psycopg.connect(settings.source_dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("create table if not exists kept (id bigint)")
        connection.execute("insert into kept select generate_series(1, 1000)")
    killed = running(settings)["postgres"].pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    healed(settings, "postgres", killed)
    with psycopg.connect(settings.source_dsn("postgres", "postgres")) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1000,)


def test_up_heals_after_supervisord_was_killed(settings: Settings):
    before = running(settings)
    os.kill(int((settings.state_dir / "supervisor.pid").read_text()), signal.SIGKILL)
    control.up(settings, without=WITHOUT)
    after = running(settings)
    assert all(state.healthy for state in after.values())
    assert not {state.pid for state in before.values()} & {state.pid for state in after.values()}
    assert len([p for p in processes.leftovers(settings) if "supervisor.supervisord" in p.cmdline()]) == 1


def test_a_changed_setting_restarts_what_it_concerns_and_nothing_else(settings: Settings):
    before = {name: state.pid for name, state in running(settings).items()}
    other_bucket = settings.model_copy(update={"bucket": "elsewhere"})
    control.up(other_bucket, without=WITHOUT)
    after = {name: state.pid for name, state in running(other_bucket).items()}
    assert {name for name in NAMES if before[name] != after[name]} == {"store", "catalog"}
    control.up(settings, without=WITHOUT)


def test_a_second_stack_runs_beside_the_first_below_a_closed_folder(settings: Settings, tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    beside = on_free_ports(closed / ("long" * 25))
    only = ("kafka", "connect", "stream")
    try:
        control.up(beside, without=only)
        assert all(state.healthy for state in control.states(beside) if state.name not in only)
        assert all(state.healthy for state in running(settings).values())
        assert beside.secrets != settings.secrets
    finally:
        control.down(beside)
    assert not processes.leftovers(beside)
    assert all(state.healthy for state in running(settings).values())


def test_down_leaves_nothing_running_and_the_data_in_place(settings: Settings):
    strangers = subprocess.Popen(["sleep", "60"], cwd=settings.state_dir)
    try:
        assert control.down(settings) == []
        assert not processes.leftovers(settings)
        assert not any(port.holder for port in ports.survey(COMPONENTS, settings))
        assert not Supervisor(settings).is_running()
        assert control.down(settings) == [], "down again is harmless"
        assert strangers.poll() is None, "only what the stack started is ended"
        control.up(settings, without=WITHOUT)
        with psycopg.connect(settings.source_dsn("postgres", "postgres")) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (1000,)
    finally:
        strangers.kill()
        strangers.wait()
