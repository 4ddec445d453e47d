"""Commands that read the tables: `sql`, `verify`."""

from __future__ import annotations

import contextlib
import json
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from catalog.settings import load_settings
from lake.app import app

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

    A time or an LSN shows mirrors as Postgres held them: whole transactions, from their commit on, as far as they have
    arrived. Other tables are shown as they were visible at the time. A snapshot shows a table as it was visible, maybe
    with half of a transaction. `select pg_current_wal_insert_lsn()` tells where Postgres is; every
    `previous_commit_lsn` of a changelog is the place of a commit.

    A query may name its own times: `trips version as of ID` (Spark), `trips at (version => ID)` (DuckDB), `trips for
    version as of ID` (Trino). `taxi_cdc.trips_history` holds every version of every row, with the times from and to
    which it was valid; `taxi_cdc.trips_cdc` every change. `lake diff` compares two points.
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
def verify(
    tables: Annotated[list[str] | None, typer.Argument(help="All tables when left out.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the stream to reach the source.")] = 120,
    follow: Annotated[bool, typer.Option(help="Go on, one table after the other; end with Ctrl-C.")] = False,
    cpu: Annotated[float, typer.Option(min=0.01, help="With --follow: at most so much of one processor.")] = 0.25,
    every: Annotated[float, typer.Option(min=0, help="With --follow: seconds from one round to the next.")] = 60,
    rounds: Annotated[int | None, typer.Option(min=1, help="With --follow: end after so many rounds.")] = None,
    as_json: Json = False,
) -> None:
    """Prove the mirrors equal to Postgres, row for row and value for value, at one common point.

    Ends with 0 when all is equal, 1 when something differs, 2 when a table could not be verified. With --follow it goes
    on in the background of whatever runs: `lake status` shows by table as of when it was equal, a difference is an
    alert in realtime.alerts and is printed down to the cell.
    """
    from catalog.verification import verify as run
    from lake.rows import VerificationProgress, print_wide, verification_tables

    if follow:
        raise typer.Exit(_follow(tables, cpu, every, rounds, timeout, as_json))
    with VerificationProgress(Console(stderr=True)) as progress:
        report = run(load_settings(), tables, timeout, progress.report)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))  # noqa: T201
    else:
        print_wide(verification_tables(report))
    raise typer.Exit(report.exit_code)


def _follow(
    tables: list[str] | None, cpu: float, every: float, rounds: int | None, timeout: float, as_json: bool
) -> int:
    """Tell of each verification in a line, of a difference all; the worst exit code."""
    from catalog.verification.follow import follow
    from lake.rows import print_wide, verification_line, verification_tables

    worst, told = 0, Console(stderr=True)
    with contextlib.suppress(KeyboardInterrupt):
        for report in follow(load_settings(), tables, cpu, every, rounds, timeout, told.print):
            worst = max(worst, report.exit_code, key=(0, 2, 1).index)
            if as_json:
                print(json.dumps(report.as_json()), flush=True)  # noqa: T201
            else:
                print_wide(verification_line(report) if report.equal else verification_tables(report))
    return worst
