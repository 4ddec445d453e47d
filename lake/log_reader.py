"""Reads the components' logs: their last lines, and what is added, over rotations."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from catalog.errors import ConfigurationError
from catalog.settings import Settings

POLL_SECONDS = 0.3
BYTES_PER_LINE = 400


def log_paths(settings: Settings, name: str | None) -> list[Path]:
    """One log, or those of all components. Raises ConfigurationError when there is no such component or log."""
    from stack.components import COMPONENTS, component

    folder = settings.state_dir / "logs"
    if name is not None and name != "supervisor":
        component(name)
    names = [name] if name is not None else [each.name for each in COMPONENTS]
    paths = [path for each in names if (path := folder / f"{each}.log").exists()]
    if not paths:
        raise ConfigurationError(f"there is no log of {name or 'any component'} in {folder}", remedy="lake up")
    return paths


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, reading no more of it than needed."""
    size, wanted = path.stat().st_size, BYTES_PER_LINE * count
    while True:
        with path.open("rb") as file:
            file.seek(max(0, size - wanted))
            lines = file.read(wanted).decode(errors="replace").splitlines()
        if wanted >= size or len(lines) > count:
            return [f"{line}\n" for line in lines[-count:]] if count else []
        wanted *= 4


def follow_logs(paths: Iterable[Path], out: TextIO, *, with_names: bool) -> None:
    """Write what is added to the files, until interrupted. A file that shrank was rotated: it is read anew."""
    seen = {path: path.stat().st_size for path in paths}
    width = max(len(path.stem) for path in seen)
    try:
        while True:
            for path, offset in seen.items():
                seen[path] = _write_added(path, offset, out, f"{path.stem:{width}} " if with_names else "")
            out.flush()
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _write_added(path: Path, offset: int, out: TextIO, prefix: str) -> int:
    """Write the whole lines after the offset; the offset after them."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        if file.seek(0, 2) < offset:
            offset = 0
        file.seek(offset)
        added = file.read()
    whole = added[: added.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines(keepends=True):
        out.write(prefix + line)
    return offset + len(whole)
