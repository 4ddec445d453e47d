"""Full disks: a component's folder on a tmpfs that shrinks to what it holds, and grows again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from catalog.errors import ComponentError, VerificationError
from catalog.settings import Settings
from conformance.faults.fault import Fault, Ground
from stack.supervision import Supervisor

ROOM_BYTES = 512 << 20
FULL_SECONDS = 15.0
FOLDERS = {"kafka": "kafka", "postgres": "postgres/pg_wal", "store": "store", "stream": "checkpoints"}


def _cannot(settings: Settings) -> str:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "a tmpfs is mounted by root alone"
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return "" if tried.returncode == 0 else "this machine lets nobody mount a tmpfs"


def _fill(component: str) -> Fault:
    def folder(ground: Ground) -> Path:
        return ground.settings.state_dir / FOLDERS[component]

    def inject(ground: Ground) -> None:
        _move_in(ground, component, folder(ground))
        try:
            ground.until(lambda: ground.states()[component].healthy, f"{component} runs on the tmpfs")
        except VerificationError:
            _move_out(ground, component, folder(ground))
            raise
        _resize(folder(ground), 0)
        time.sleep(FULL_SECONDS)

    def heal(ground: Ground, _: None) -> None:
        _resize(folder(ground), ROOM_BYTES)
        try:
            ground.until(lambda: ground.states()[component].healthy, f"{component} runs again")
        finally:
            _move_out(ground, component, folder(ground))

    told = f"the folder {FOLDERS[component]} of {component} is full for {FULL_SECONDS:.0f} s"
    return Fault(f"disk full {component}", told, inject, heal, cannot=_cannot)


def _resize(folder: Path, room: int) -> None:
    """To so many bytes more than what it holds."""
    found = os.statvfs(folder)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    _run("mount", "-o", f"remount,size={max(used + room, 4096)}", str(folder))


def _move_in(ground: Ground, component: str, folder: Path) -> None:
    """All as it was where the tmpfs does not take what the folder holds."""
    supervisor, beside = Supervisor(ground.settings), folder.with_name(f"{folder.name}.disk")
    supervisor.stop_program(component)
    with ExitStack() as back:
        back.callback(supervisor.start_program, component)
        folder.rename(beside)
        back.callback(beside.rename, folder)
        folder.mkdir(mode=0o700)
        back.callback(folder.rmdir)
        _run("mount", "-t", "tmpfs", "-o", "size=8g", "none", str(folder))
        back.callback(_run, "umount", str(folder))
        _run("cp", "-a", "--sparse=always", f"{beside}/.", str(folder))
        _resize(folder, ROOM_BYTES)
        back.pop_all()
    supervisor.start_program(component)


def _move_out(ground: Ground, component: str, folder: Path) -> None:
    supervisor, beside = Supervisor(ground.settings), folder.with_name(f"{folder.name}.disk")
    supervisor.stop_program(component)
    shutil.rmtree(beside)
    _run("cp", "-a", "--sparse=always", str(folder), str(beside))
    _run("umount", str(folder))
    folder.rmdir()
    beside.rename(folder)
    supervisor.start_program(component)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ComponentError(f"{' '.join(command)}: {done.stderr.strip()}")


FAULTS = tuple(_fill(component) for component in FOLDERS)
