"""Which fault comes when: the same for the same seed and the same faults."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.faults import Fault

TRANSACTIONS_BETWEEN_FAULTS = 40


@dataclass(frozen=True)
class Planned:
    """A fault, the transactions that are committed before it since the last one healed, and the seed of its chances."""

    fault: Fault
    pause: int
    seed: str


def plan(seed: int, faults: Sequence[Fault]) -> Iterator[Planned]:
    """Without end: every fault once, in shuffled rounds."""
    chance, number = random.Random(f"faults {seed}"), 0
    while faults:
        round_ = list(faults)
        chance.shuffle(round_)
        for fault in round_:
            number += 1
            pause = chance.randint(TRANSACTIONS_BETWEEN_FAULTS // 4, TRANSACTIONS_BETWEEN_FAULTS)
            yield Planned(fault, pause, f"{seed} {number} {fault.name}")
