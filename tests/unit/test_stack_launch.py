"""A component that fails again and again is restarted after growing pauses, and gets its secrets by file only."""

import json
import os
import subprocess
import sys
from pathlib import Path

from stack import launch


def test_a_first_start_and_a_first_restart_do_not_wait():
    assert launch.pause_seconds([], 1000.0) == 0
    assert launch.pause_seconds([999.0], 1000.0) == 0


def test_pauses_double_up_to_half_a_minute_and_never_end():
    starts: list[float] = []
    now, pauses = 1000.0, []
    for _ in range(12):
        pauses.append(launch.pause_seconds(starts, now))
        starts.append(now + pauses[-1])
        now = starts[-1] + 5
    assert pauses == [0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_a_component_that_ran_for_long_is_restarted_at_once():
    failing = [1000.0, 1005.0, 1010.0, 1016.0]
    assert launch.pause_seconds(failing, 1020.0) > 0
    assert launch.pause_seconds(failing, 1016.0 + launch.QUICK_SECONDS + 1) == 0


def test_a_cut_line_in_the_record_of_starts_does_not_stop_a_restart(tmp_path: Path):
    record = tmp_path / "starts"
    record.write_text("1000.5\n1001.")
    assert launch.read_starts(str(record)) == [1000.5, 1001.0]
    record.write_text("1000.5\n-")
    assert launch.read_starts(str(record)) == []


def test_it_becomes_the_program_with_exactly_the_given_environment(tmp_path: Path):
    described = tmp_path / "component.json"
    described.write_text(
        json.dumps(
            {
                "command": [
                    sys.executable,
                    "-c",
                    "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))",
                ],
                "environment": {"SECRET": "100%d; \"quoted\" 'both' \n#", "LC_ALL": "C.UTF-8"},
                "directory": str(tmp_path),
                "orphan_signal": "TERM",
                "starts": str(tmp_path / "starts"),
            }
        )
    )
    command = [sys.executable, "-S", "-E", launch.__file__, str(described)]
    done = subprocess.run(command, env={**os.environ, "LEAK": "1"}, capture_output=True, text=True, check=True)
    environment, directory = json.loads(done.stdout)
    assert environment["SECRET"] == "100%d; \"quoted\" 'both' \n#"
    assert "LEAK" not in environment and "PATH" not in environment
    assert directory == str(tmp_path)
    assert len(launch.read_starts(str(tmp_path / "starts"))) == 1


def test_it_ends_when_its_parent_is_killed(tmp_path: Path):
    described = tmp_path / "component.json"
    described.write_text(
        json.dumps(
            {
                "command": [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(120)"],
                "environment": {},
                "directory": "/",
                "orphan_signal": "KILL",
                "starts": str(tmp_path / "starts"),
            }
        )
    )
    parent = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    command = [sys.executable, "-c", parent, sys.executable, "-S", "-E", launch.__file__, str(described)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        component = int(process.stdout.readline())
        process.kill()
        assert process.stdout.read() == ""  # its end of the pipe closes only when the component is gone
    assert not Path(f"/proc/{component}/exe").exists()
