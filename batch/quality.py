"""Holds a table's declared rules against the rows that are to be published."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from catalog.errors import QualityError
from catalog.settings import CATALOG
from catalog.tables.table import Rule, Table

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
    """Every rule of `table` against the rows of `candidate`; one that needs a table which is not there is left out.

    `candidate` is read several times: give it computed, by `localCheckpoint`.
    """
    spark = candidate.sparkSession
    rules = [rule for rule in table.rules if not rule.needs or spark.catalog.tableExists(f"{CATALOG}.{rule.needs}")]
    candidate.createOrReplaceTempView("candidate")
    rows, of_rows = _judge_rows(candidate, [rule for rule in rules if rule.breaks])
    found = {**of_rows, **_compare_rows(spark, [rule for rule in rules if not rule.breaks])}
    return [Finding(rule, rows, *found.get(rule.name, (0, None))) for rule in rules]


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


Breaches = dict[str, tuple[int, str]]
"""By the name of a broken rule the number of rows that break it, and some of them as a JSON array."""


def _judge_rows(candidate: DataFrame, rules: Sequence[Rule]) -> tuple[int, Breaches]:
    """All rows, and the breaches of rules that judge a row by itself: counted in one pass."""
    conditions = [F.count_if(F.expr(rule.breaks)).alias(rule.name) for rule in rules]
    counted = candidate.agg(F.count("*").alias("rows"), *conditions).first().asDict()
    samples = [
        candidate.where(rule.breaks).limit(SAMPLE_ROWS).select(*_told(rule, counted[rule.name]))
        for rule in rules
        if counted[rule.name]
    ]
    return counted["rows"], _collected(samples)


def _compare_rows(spark: SparkSession, rules: Sequence[Rule]) -> Breaches:
    """The breaches of the other rules, in one statement: one each takes ten times as long on few rows."""
    every = Window.partitionBy()
    return _collected(
        spark.sql(rule.query).select(*_told(rule, F.count("*").over(every))).limit(SAMPLE_ROWS) for rule in rules
    )


def _told(rule: Rule, breaches: Column | int) -> tuple[Column, ...]:
    return F.lit(rule.name), F.lit(breaches), F.to_json(F.struct("*"))


def _collected(samples: Iterable[DataFrame]) -> Breaches:
    parts, counts, rows = list(samples), dict[str, int](), defaultdict[str, list[object]](list)
    for name, breaches, row in reduce(DataFrame.unionAll, parts).collect() if parts else ():
        counts[name] = breaches
        rows[name].append(json.loads(row))
    return {name: (breaches, json.dumps(rows[name])) for name, breaches in counts.items()}
