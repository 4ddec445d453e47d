"""What a run under chaos did and found: events counted against the decoder's, recovery by fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from conformance.faults import Gap
from conformance.oracle import Event


@dataclass(frozen=True)
class Broken:
    """A fault that was done: after how many transactions, and the seconds until all tables showed new changes.

    The seconds count from the end of the fault; where a status named a command, from its start.
    """

    fault: str
    after: int
    recovery_seconds: float
    said: str = ""


@dataclass
class Report:
    """`lost`, `duplicated` and `wrong` count events of the changelogs, by the decoder's; `in_gaps` those that a
    changelog lacks where its table had stopped and said so. `moments`, `windows` and `files` count what was compared
    beside them; what was not right of it is in the `reasons`."""

    seed: int
    minutes: float
    chosen: str | None = None
    committed: int = 0
    rolled_back: int = 0
    unknown: int = 0
    refused: int = 0
    events: int = 0
    faults: list[Broken] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    in_gaps: int = 0
    differing_rows: int = 0
    injected: int = 0
    quarantined: int = 0
    moments: int = 0
    windows: int = 0
    files: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether nothing was lost, duplicated or wrong, all could be compared, and what was injected was set aside."""
        counted = self.lost or self.duplicated or self.wrong or self.differing_rows or self.reasons
        return not counted and self.quarantined == self.injected

    @property
    def again(self) -> str:
        """The line that runs it again."""
        faults = f" --faults '{self.chosen}'" if self.chosen else ""
        return f"lake chaos --seed {self.seed} --minutes {self.minutes:g}{faults}"

    @property
    def recovery(self) -> dict[str, tuple[int, float, float]]:
        """By fault: how often, median and longest seconds."""
        seconds: dict[str, list[float]] = {}
        for each in self.faults:
            seconds.setdefault(each.fault, []).append(each.recovery_seconds)
        return {name: (len(found), median(found), max(found)) for name, found in sorted(seconds.items())}

    def as_json(self) -> dict[str, Any]:
        """All fields, the verdict, and the line that runs it again."""
        return {**asdict(self), "recovery": self.recovery, "right": self.right, "again": self.again}


def count_against(
    expected: Sequence[tuple[int, Event]], found: Sequence[Event], report: Report, gaps: Sequence[Gap] = ()
) -> None:
    """Count what a changelog lacks, has twice, or has otherwise or elsewhere than the decoder.

    `expected` comes with the LSN of each commit: what is lacking of a commit in a gap is not lost.
    """
    every = [event for _, event in expected]
    lacking, surplus = Counter(every) - Counter(found), Counter(found) - Counter(every)
    in_gaps = Counter(event for lsn, event in expected if any(gap.start < lsn <= gap.end for gap in gaps))
    told = lacking & in_gaps
    twice = sum(count for event, count in surplus.items() if event in set(every))
    report.events += len(every)
    report.duplicated += twice
    report.wrong += surplus.total() - twice
    report.lost += lacking.total() - told.total()
    report.in_gaps += told.total()
    if not lacking and not surplus:
        report.wrong += sum(here != there for here, there in zip(every, found, strict=True))
    elif told and lacking == told and not surplus:
        report.wrong += not _is_subsequence(found, every)


def _is_subsequence(found: Sequence[Event], every: Sequence[Event]) -> bool:
    rest = iter(every)
    return all(event in rest for event in found)
