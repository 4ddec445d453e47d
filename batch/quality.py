"""Holds a table's declared rules against the rows that are to be published."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
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
    """Every rule of `table` against the rows of `candidate`; one that needs a table which is not there is left out."""
    spark = candidate.sparkSession
    rules = [rule for rule in table.rules if not rule.needs or spark.catalog.tableExists(f"{CATALOG}.{rule.needs}")]
    candidate = candidate.persist()
    try:
        candidate.createOrReplaceTempView("candidate")
        counted = _count(spark, rules)
        samples = _sample(spark, [rule for rule in rules if counted[rule.name]])
        return [Finding(rule, counted["rows"], counted[rule.name], samples.get(rule.name)) for rule in rules]
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


def _count(spark: SparkSession, rules: Sequence[Rule]) -> dict[str, int]:
    """The candidate's rows, as `rows`, and those that break each rule, by its name.

    Rules of one row are counted in one pass, the others in one statement: one each takes ten times as long on few rows.
    """
    of_a_row = [rule for rule in rules if rule.breaks]
    others = [rule for rule in rules if not rule.breaks]
    conditions = [F.count_if(F.expr(rule.breaks)).alias(rule.name) for rule in of_a_row]
    counted = spark.table("candidate").agg(F.count("*").alias("rows"), *conditions).first().asDict()
    if others:
        counts = (spark.sql(rule.query).agg(F.lit(rule.name), F.count("*")) for rule in others)
        counted.update((name, rows) for name, rows in reduce(DataFrame.unionAll, counts).collect())
    return dict(counted)


def _sample(spark: SparkSession, broken: Sequence[Rule]) -> dict[str, str]:
    """Some of the rows that break each rule, by its name, as a JSON array."""
    if not broken:
        return {}
    rows = (
        spark.sql(rule.query).limit(SAMPLE_ROWS).select(F.lit(rule.name), F.to_json(F.struct("*"))) for rule in broken
    )
    found: dict[str, list[object]] = {}
    for name, text in reduce(DataFrame.unionAll, rows).collect():
        found.setdefault(name, []).append(json.loads(text))
    return {name: json.dumps(sample) for name, sample in found.items()}
