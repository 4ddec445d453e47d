"""Commands that read the tables: `sql`, `history`, `verify`."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from catalog.settings import load_settings
from lake.app import app

TableName = Annotated[str, typer.Argument(help="trips, public.trips or taxi_cdc.trips")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class EngineName(StrEnum):
    """Which engine answers."""

    DUCKDB = "duckdb"
    SPARK = "spark"
    TRINO = "trino"


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command("sql")
def sql_command(
    query: Annotated[str | None, typer.Argument(help="One statement; read from standard input when left out.")] = None,
    engine: Annotated[
        EngineName,
        typer.Option(help="DuckDB starts in half a second, Spark in ten; Trino runs with `lake up --with trino`."),
    ] = EngineName.DUCKDB,
    as_of: Annotated[
        str | None,
        typer.Option(help="The past of every table: time:2026-01-31T12:00:00Z, time:-5m, snapshot:ID or lsn:0/1A2B3C."),
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="How rows are printed.")] = Format.TABLE,
) -> None:
    """Ask the lake in SQL: tables are `taxi_cdc.trips` or `iceberg.taxi_cdc.trips`.

    lake sql "select count(*) from taxi_cdc.trips" --as-of time:-10m

    A time or a snapshot shows tables as they were visible then, maybe with half of a transaction. An LSN shows mirrors
    as Postgres held them: whole transactions, from their commit on. `select pg_current_wal_insert_lsn()` tells where
    Postgres is; every `previous_commit_lsn` of a changelog is the place of a commit.

    A query may name its own times: `trips version as of ID` (Spark), `trips at (version => ID)` (DuckDB), `trips for
    version as of ID` (Trino). What changed between two points is in the changelog: `select op, key, before, after from
    taxi_cdc.trips_cdc where lsn between … and …`.
    """
    from catalog.time_travel import AsOf
    from lake.queries import Answers, prompt
    from lake.rows import print_rows

    past = AsOf.parse(as_of) if as_of else None
    with Answers(load_settings(), engine.value) as answers:
        if query is None and sys.stdin.isatty():
            prompt(answers, past)
            return
        print_rows(answers.ask(query if query is not None else sys.stdin.read(), past), output.value)


@app.command()
def history(
    table: TableName,
    limit: Annotated[int, typer.Option(min=1, help="How many snapshots, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List a table's snapshots: when, how far in the source (offset, LSN), rows added and deleted."""
    from catalog.history import load_table, table_history
    from catalog.readers import iceberg_catalog
    from lake.rows import history_table, print_wide

    loaded = load_table(iceberg_catalog(load_settings()), table)
    entries = table_history(loaded, limit)
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries], indent=2))  # noqa: T201
        return
    print_wide(history_table(".".join(loaded.name()), entries))


@app.command()
def verify(
    tables: Annotated[list[str] | None, typer.Argument(help="All tables when left out.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the stream to reach the source.")] = 120,
    as_json: Json = False,
) -> None:
    """Prove the mirrors equal to Postgres, row for row and value for value, at one common point.

    Ends with 0 when all is equal, 1 when something differs, 2 when a table could not be verified.
    """
    from catalog.verification import verify as run
    from lake.rows import VerificationProgress, print_wide, verification_tables

    with VerificationProgress(Console(stderr=True)) as progress:
        report = run(load_settings(), tables, timeout, progress.report)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))  # noqa: T201
    else:
        print_wide(verification_tables(report))
    raise typer.Exit(report.exit_code)
