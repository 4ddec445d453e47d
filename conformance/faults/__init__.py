"""Every fault of `lake chaos`: small declarations, by what they break."""

from __future__ import annotations

from catalog.errors import ConfigurationError
from conformance.faults import clock, disk, driver, network, processes, source, topics, upkeep
from conformance.faults.fault import Fault, Gap, Ground

__all__ = ["FAULTS", "Fault", "Gap", "Ground", "chosen"]

FAULTS: tuple[Fault, ...] = (
    *processes.FAULTS,
    *driver.FAULTS,
    *upkeep.FAULTS,
    *source.FAULTS,
    *topics.FAULTS,
    *network.FAULTS,
    *disk.FAULTS,
    *clock.FAULTS,
)


def chosen(names: str | None) -> list[Fault]:
    """The faults whose names begin with one of these (`a,b`); all by default. Raises ConfigurationError."""
    if names is None:
        return list(FAULTS)
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if not any(fault.name.startswith(name) for fault in FAULTS)]
    if unknown:
        raise ConfigurationError(f"there is no fault {unknown[0]!r}", remedy="lake chaos --list names them")
    return [fault for fault in FAULTS if fault.name.startswith(tuple(wanted))]
