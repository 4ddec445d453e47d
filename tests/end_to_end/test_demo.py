"""The README's first command in small, on an empty state folder and again on top of itself, with a stack of its own."""

import json
import os
import subprocess
import sys

import pytest

from catalog.settings import PROJECT, Settings
from stack import control, processes

SMALL = ("--rows", "2000", "--rate", "50", "--seconds", "5")


@pytest.fixture(scope="module")
def own(tmp_path_factory, free_offset):
    settings = Settings(_env_file=None, state_dir=tmp_path_factory.mktemp("demo") / "state", port_offset=free_offset())
    yield settings
    control.down(settings)
    assert not processes.leftovers(settings)


def run(settings: Settings, *command: str) -> subprocess.CompletedProcess[str]:
    own = {"LAKE_STATE_DIR": str(settings.state_dir), "LAKE_PORT_OFFSET": str(settings.port_offset)}
    return subprocess.run(
        command,
        env={**os.environ, **own},
        cwd="/",
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )


@pytest.mark.parametrize("trips", ["an empty folder", "the first run"])
def test_the_demo_ends_with_every_mirror_equal(own: Settings, trips: str):
    done = run(own, str(PROJECT / "scripts" / "demo"), *SMALL)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for said in (
        "commit in Postgres to visible in taxi_cdc.trips",
        "public.trips",
        str(own.port("spark_ui")),
        "lake down",
    ):
        assert said in done.stdout
    lake = [sys.executable, "-P", "-m", "lake"]
    assert run(own, *lake, "status").returncode == 0, "it leaves a healthy stack running"
    verified = run(own, *lake, "verify", "--json")
    report = json.loads(verified.stdout)
    assert (verified.returncode, report["equal"]) == (0, True)
    assert {table["table"]: table["differing_rows"] for table in report["tables"]} == {
        f"public.{name}": 0 for name in ("payment_types", "trips", "vendors")
    }
    assert sum(table["rows_compared"] for table in report["tables"]) > 2_000
