"""What one component of the stack is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog.settings import Settings
from stack.commands import Command

CORE = "core"


def _unchanged(settings: Settings) -> bool:
    return False


def _nothing(settings: Settings) -> None:
    return None


@dataclass(frozen=True)
class Component:
    """One supervised process.

    `group` is what has to be asked for to have it; the core is always meant. `after` names what must answer before it
    is started; `prepare` writes its files and says whether they changed; `finish` runs once it answers `ask`; `ports`
    are settings, `blocks` settings of several ports in a row with their number; `external` are the settings that mean
    it runs elsewhere; `orphan_signal` is what it gets when supervisord was killed and the others may be gone already.
    """

    name: str
    title: str
    command: Callable[[Settings], Command]
    ask: Callable[[Settings], str]
    address: Callable[[Settings], str]
    ports: tuple[str, ...] = ()
    blocks: tuple[tuple[str, int], ...] = ()
    group: str = CORE
    after: tuple[str, ...] = ()
    prepare: Callable[[Settings], bool] = _unchanged
    finish: Callable[[Settings], None] = _nothing
    external: tuple[str, ...] = ()
    start_seconds: int = 90
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    orphan_signal: str = "TERM"

    def is_external(self, settings: Settings) -> bool:
        """Whether settings point to one that others run."""
        return bool(self.external) and all(getattr(settings, name) is not None for name in self.external)

    def port_numbers(self, settings: Settings) -> dict[str, int]:
        """Every port it listens on, by the setting that moves it, internal ones as `name+n`."""
        numbers = {f"{name}_port": settings.port(name) for name in self.ports}
        numbers |= {f"{name}_port+{n}": settings.port(name) + n for name, count in self.blocks for n in range(count)}
        return numbers
