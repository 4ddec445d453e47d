"""What batch loads did, what their checks found, and the rows that were set aside."""

from __future__ import annotations

from catalog.tables.table import Column, Table

BATCH_RUNS = Table(
    namespace="control",
    name="batch_runs",
    description="One row per interval that a run loaded or failed to load; runs are added, never changed.",
    columns=(
        Column("run_id", "string", "the DAG and its run, `dag_id/run_id`", required=True),
        Column("dataset", "string", "what was loaded, `nyc_taxi.trips`", required=True),
        Column("interval", "string", "which part of it, `2019-01` or `2019-01-15`", required=True),
        Column("source", "string", "where the input came from: file, URL or table", required=True),
        Column("sha256", "string", "of the input's bytes, null where the input is a table"),
        Column("rows_in", "bigint", "rows of the input"),
        Column("accepted", "bigint", "rows published"),
        Column("quarantined", "bigint", "rows set aside; accepted and quarantined make rows_in"),
        Column("snapshot_id", "bigint", "snapshot of the table that published them"),
        Column("status", "string", "`success`, `failed` or `unchanged`", required=True),
        Column("message", "string", "why it failed, or what is worth knowing (an unknown column)"),
        Column("started_at", "timestamp", "", required=True),
        Column("finished_at", "timestamp", "", required=True),
    ),
    key=("run_id", "dataset", "interval"),
    writer="every DAG",
)

QUALITY_RESULTS = Table(
    namespace="control",
    name="quality_results",
    description="One row per rule, load and interval: how many rows broke it, and some of them.",
    columns=(
        Column("run_id", "string", "the DAG and its run, `dag_id/run_id`", required=True),
        Column("dataset", "string", "the table that the rule belongs to", required=True),
        Column("interval", "string", "which part was looked at", required=True),
        Column("rule", "string", "its name in the declaration", required=True),
        Column("severity", "string", "`error` fails the load, `warning` does not", required=True),
        Column("rows", "bigint", "rows looked at", required=True),
        Column("breaches", "bigint", "rows that broke it", required=True),
        Column("tolerance", "double", "share of rows that may break it", required=True),
        Column("passed", "boolean", "", required=True),
        Column("sample", "string", "some of the rows that broke it, as JSON"),
        Column("checked_at", "timestamp", "", required=True),
    ),
    key=("run_id", "dataset", "interval", "rule"),
    writer="every DAG",
)

QUARANTINE = Table(
    namespace="control",
    name="quarantine",
    description="Input rows that were not published, each with its reason; one load replaces its interval's rows.",
    columns=(
        Column("dataset", "string", "the table that they were meant for", required=True),
        Column("interval", "string", "which part of it", required=True),
        Column("source", "string", "file or URL", required=True),
        Column("source_row", "bigint", "row in the source, counted from 0"),
        Column("reason", "string", "what is wrong with it", required=True),
        Column("raw", "string", "the row as it was, as JSON", required=True),
    ),
    key=("dataset", "interval", "source", "source_row"),
    partition=("dataset", "interval"),
    interval=("dataset", "interval"),
    writer="every DAG",
)
