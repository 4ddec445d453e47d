"""Holds a table's declared rules against the rows that are to be published."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.errors import QualityError
from catalog.tables.table import Rule, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Finding:
    """What one rule found: rows looked at, rows that break it, and some of those as JSON."""

    rule: Rule
    rows: int
    breaches: int
    sample: str | None

    @property
    def passed(self) -> bool:
        """Whether no more rows break the rule than it tolerates."""
        return self.breaches <= self.rule.tolerance * self.rows


def check(table: Table, candidate: DataFrame) -> list[Finding]:
    """Every rule of `table` against the rows of `candidate`."""
    candidate = candidate.persist()
    try:
        candidate.createOrReplaceTempView("candidate")
        rows = candidate.count()
        return [_finding(candidate, rule, rows) for rule in table.rules]
    finally:
        candidate.unpersist()


def require(table: Table, interval: str, findings: Iterable[Finding]) -> None:
    """Raise QualityError, with sample rows, when an error-level rule is broken."""
    broken = [found for found in findings if not found.passed and found.rule.severity == "error"]
    if broken:
        lines = [
            f"  {found.rule.name}: {found.breaches} of {found.rows} rows, such as {found.sample}" for found in broken
        ]
        raise QualityError(
            f"{table.identifier}, {interval}: {len(broken)} rules are broken, nothing was published\n"
            + "\n".join(lines),
            remedy="mend the source or the rule in catalog/tables, then run the load again; `lake quality` shows all",
        )


def _finding(candidate: DataFrame, rule: Rule, rows: int) -> Finding:
    broken = candidate.sparkSession.sql(rule.query)
    breaches = broken.count()
    if not breaches:
        return Finding(rule, rows, 0, None)
    sample = [json.loads(text) for text in broken.limit(SAMPLE_ROWS).toJSON().collect()]
    return Finding(rule, rows, breaches, json.dumps(sample))
