"""Ways between components that are slow, break, or fall silent. Not Kafka's: it tells clients its own address."""

from __future__ import annotations

import time

from catalog.settings import Settings
from conformance import proxies
from conformance.faults.fault import Fault, Ground
from connectors.setup import ensure_connector

WAYS = {"catalog": "stream to REST catalog", "store": "stream to store", "source": "Debezium to Postgres"}
KINDS = {
    "latency": ("every packet two seconds late", "latency", {"latency": 2000, "jitter": 500}),
    "resets": ("connections reset", "reset_peer", {"timeout": 300}),
    "silence": ("nothing passes, nothing is refused", "timeout", {"timeout": 0}),
}
LONGEST_SECONDS = 15.0


def _missing(settings: Settings) -> str:
    return "" if proxies.program() else proxies.MISSING


def _poison(way: str, kind: str) -> Fault:
    told, toxic, attributes = KINDS[kind]

    def inject(ground: Ground) -> None:
        if way == "source":
            ensure_connector(ground.breakable.through)
        ground.breakable.proxies.poison(way, toxic, attributes)
        time.sleep(ground.chance.uniform(5, LONGEST_SECONDS))

    def heal(ground: Ground, _: None) -> None:
        ground.breakable.proxies.cure()

    return Fault(f"{kind} {way}", f"{WAYS[way]}: {told}, up to {LONGEST_SECONDS:.0f} s", inject, heal, cannot=_missing)


FAULTS = tuple(_poison(way, kind) for way in WAYS for kind in KINDS)
