"""Another program in the place of the stack's streaming job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from catalog.settings import Settings
from stack.components import Component, component
from stack.supervision import Supervisor


@contextmanager
def streaming(settings: Settings, ways: Settings, module: str, *arguments: str) -> Iterator[None]:
    """`python -m module` streams until the end of the block, and knows the others by the addresses of `ways`."""
    stream = component("stream")
    command = replace(stream.command(ways), arguments=(sys.executable, "-m", module, *arguments))
    try:
        _restart(settings, replace(stream, command=lambda _: command))
        yield
    finally:
        _restart(settings, stream)


def _restart(settings: Settings, stream: Component) -> None:
    supervisor = Supervisor(settings)
    supervisor.stop_program("stream")
    supervisor.write_command(stream)
    supervisor.start_program("stream")
