"""Two streaming jobs on the same tables: the commit itself refuses one of them, and nothing is written twice."""

import signal
import subprocess
import sys

from catalog.settings import PROJECT
from streaming.iceberg import DRIVER_PROPERTY

MAIN = ("payment_types", "trips", "vendors")


def test_of_two_drivers_one_is_refused_and_nothing_is_written_twice(stack, tmp_path):
    """The second has a state folder of its own, so that no file lock or checkpoint keeps the two apart."""
    stack.verified(*MAIN)
    second = tmp_path / "second"
    second.mkdir()
    secrets = stack.settings.state_dir / "secrets.json"
    (second / "secrets.json").write_text(secrets.read_text())
    (second / "secrets.json").chmod(0o600)
    environment = stack.environment | {
        "LAKE_STATE_DIR": str(second),
        "LAKE_SPARK_UI_PORT": str(stack.settings.spark_ui_port + 1),
    }
    with open(tmp_path / "log", "w") as log:
        command = [sys.executable, "-P", "-m", "streaming"]
        job = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT)
    try:
        stack.until(lambda: (second / "stream.json").exists(), "the second driver runs")
        stack.until(lambda: '"running"' in (second / "stream.json").read_text(), "the second driver streams")
        logs = (tmp_path / "log", stack.settings.state_dir / "logs" / "stream.log")
        at = logs[1].stat().st_size

        def refused() -> bool:
            stack.traffic(60, seed=31)
            return any("moved by another streaming driver" in text for text in (logs[0].read_text(), tail(logs[1], at)))

        stack.until(refused, "one driver is refused")
        stack.traffic(200, seed=32)
        report = stack.verified(*MAIN)
        assert sum(table.duplicate_events for table in report.tables) == 0
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(90)
    drivers = {snapshot.summary[DRIVER_PROPERTY] for snapshot in stack.iceberg("trips").snapshots()}
    assert len(drivers) >= 2, "both have committed"
    offsets = [offset for _, _, offset in stack.changelog("trips")]
    assert len(offsets) == len(set(offsets))
    stack.traffic(50, seed=33)
    stack.verified(*MAIN, seconds=180)


def tail(path, start: int) -> str:
    with open(path) as file:
        file.seek(start)
        return file.read()
