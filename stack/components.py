"""What the stack consists of, and which of it is meant."""

from __future__ import annotations

from catalog.errors import ConfigurationError
from stack.component import CORE, Component
from stack.groups import airflow, core, metrics, serving, trino

COMPONENTS: tuple[Component, ...] = (
    *core.COMPONENTS,
    *airflow.COMPONENTS,
    *serving.COMPONENTS,
    *metrics.COMPONENTS,
    *trino.COMPONENTS,
)
"""In the order in which they can be started one by one; they are stopped the other way round."""
GROUPS = tuple(dict.fromkeys(each.group for each in COMPONENTS if each.group != CORE))
"""What may be asked for besides the core."""


def component(name: str) -> Component:
    """The component of this name. Raises ConfigurationError, which lists the names."""
    for each in COMPONENTS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in COMPONENTS)
    raise ConfigurationError(f"there is no component {name}", remedy=f"one of: {names}")


def chosen(*, without: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> tuple[Component, ...]:
    """The core and these groups, less those left out. Raises ConfigurationError for a name that there is not."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise ConfigurationError(f"there is no group {unknown[0]}", remedy=f"one of: {', '.join(GROUPS)}")
    unwanted = {component(name).name for name in without}
    return tuple(each for each in COMPONENTS if each.group in (CORE, *groups) and each.name not in unwanted)


def stop_order() -> list[list[str]]:
    """Names in waves: each is stopped when all that were started after it have been."""
    left, waves = list(COMPONENTS), []
    while left:
        needed = {name for each in left for name in each.after}
        wave = [each for each in left if each.name not in needed]
        waves.append([each.name for each in wave])
        left = [each for each in left if each not in wave]
    return waves
