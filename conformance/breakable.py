"""The streaming job as chaos runs it: through addresses that can be broken, and with points at which it can be killed.

`python -m conformance.breakable FILE` is the job itself. When it comes to the step that FILE names, it removes the file
and kills itself; the supervisor starts it again. Nothing of this is in the job's own code.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from catalog.settings import Settings
from conformance.lossy_catalog import LossyCatalog
from conformance.proxies import Proxies
from conformance.substitute import streaming

STEPS = (
    "changelog Changelog append before",
    "changelog Changelog append after",
    "mirror Mirror apply before",
    "mirror Mirror apply after",
    "store Store write_vector after",
    "table TableStream apply after",
)
"""Of an epoch: module, class, method, and whether it is killed before or after."""


@dataclass(frozen=True)
class Breakable:
    """What can be done to the job. `through` are the settings with which job and connector reach the others."""

    crash_file: Path
    lossy: LossyCatalog
    proxies: Proxies
    through: Settings


@contextmanager
def breakable_stream(settings: Settings, tables: list[str]) -> Iterator[Breakable]:
    """Run the stack's streaming job breakable until the end of the block; then as it was."""
    with LossyCatalog(settings.catalog, tables).serving() as lossy, Proxies().running() as proxies:
        addresses: dict[str, Any] = {"catalog_uri": proxies.to("catalog", lossy.address)}
        addresses["s3_endpoint"] = proxies.to("store", settings.s3)
        host, port = settings.source_address
        source = proxies.to("source", f"http://{host}:{port}").rpartition(":")
        ways = settings.model_copy(update=addresses)
        # the connector's way alone: the job's own questions of Postgres are few
        through = ways.model_copy(update={"source_host": host, "source_port": int(source[2])})
        crash_file = settings.state_dir / "crash-at"
        crash_file.unlink(missing_ok=True)
        with streaming(settings, ways, "conformance.breakable", str(crash_file)):
            yield Breakable(crash_file, lossy, proxies, through)


def plant(step: str, crash_file: Path) -> None:
    """Have a step of the job look whether it is the one to die at."""
    module, owner_name, method, when = step.split()
    owner = getattr(import_module(f"streaming.{module}"), owner_name)
    original = getattr(owner, method)

    def look(now: str) -> None:
        if now == when and crash_file.exists() and crash_file.read_text() == step:
            crash_file.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(*arguments: Any, **options: Any) -> Any:
        look("before")
        result = original(*arguments, **options)
        look("after")
        return result

    setattr(owner, method, watched)


if __name__ == "__main__":
    from streaming.__main__ import main

    for each in STEPS:
        plant(each, Path(sys.argv[1]))
    main()
