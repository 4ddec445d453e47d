"""What the rules found last, read by DuckDB: of each table and interval the checks of its latest run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog.errors import HistoryError
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import CATALOG, Settings
from catalog.tables.control import QUALITY_RESULTS

_LATEST = f"""
with of_latest_run as (
    select * from {CATALOG}.{QUALITY_RESULTS.identifier}
    qualify run_id = first(run_id) over (partition by dataset, interval order by checked_at desc)
        and row_number() over (partition by dataset, interval, run_id, rule order by checked_at desc) = 1
)
select
    dataset, rule, max(severity) as severity, count(*) as intervals, sum("rows")::bigint as "rows",
    sum(breaches)::bigint as breaches, max(checked_at) as checked_at,
    coalesce(list(interval order by interval) filter (not passed), []) as failed,
    first(sample order by interval) filter (not passed) as sample
from of_latest_run
group by dataset, rule
order by dataset, bool_and(passed), rule
"""  # noqa: S608 - names of our own declarations


@dataclass(frozen=True)
class Latest:
    """One rule of one table: intervals and rows looked at, rows that break it, intervals in which too many do."""

    dataset: str
    rule: str
    severity: str
    intervals: int
    rows: int
    breaches: int
    checked_at: datetime
    failed: tuple[str, ...]
    sample: Any

    @property
    def passed(self) -> bool:
        """Whether no interval has more breaches than the rule tolerates."""
        return not self.failed


def latest_findings(settings: Settings) -> list[Latest]:
    """Every rule's latest findings, by table, broken ones first. Raises HistoryError when nothing was ever checked."""
    if not iceberg_catalog(settings).table_exists(QUALITY_RESULTS.identifier):
        raise HistoryError("no load has checked anything yet", remedy="airflow dags trigger nyc_taxi_iceberg_etl")
    with duckdb_connection(settings) as connection:
        rows = connection.execute(_LATEST).to_arrow_table().to_pylist()
    told = (
        {**row, "sample": row["sample"] and json.loads(row["sample"]), "failed": tuple(row["failed"])} for row in rows
    )
    return [Latest(**row) for row in told]
