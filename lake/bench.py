"""`lake bench`: figures, never verdicts on time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from catalog.errors import ConfigurationError
from catalog.settings import load_settings
from lake.app import app

if TYPE_CHECKING:
    from rich.console import RenderableType

bench = typer.Typer(
    no_args_is_help=True,
    help="Measure on this machine: rates, CPU-seconds by process, memory. Load of other work is shown, not removed.",
)
app.add_typer(bench, name="bench")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Choice = TypeVar("Choice", bound=StrEnum)


@bench.command()
def apply(
    rows: Annotated[str, typer.Option(help="Sizes of the tables.")] = "1000000,10000000",
    changes: Annotated[
        int, typer.Option(min=1, help="Changes of one batch: 80 % updates, 15 % inserts, 5 % deletes.")
    ] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Batches counted, after one that is not.")] = 5,
    shape: Annotated[
        str, typer.Option(help="uniform, or recent: 90 % of the changes on the newest 5 % of keys.")
    ] = "uniform",
    writers: Annotated[str, typer.Option(help="Which to compare.")] = "lookup,merge-v3,merge-cow",
    hard: Annotated[
        bool, typer.Option("--hard", help="Key lookup alone: uuids, small files, little memory, beside the easy case.")
    ] = False,
    files: Annotated[int, typer.Option(min=1, help="Files of the hard case's table.")] = 3_600,
    workers: Annotated[
        int,
        typer.Option("--cluster", min=0, help="Run on a Spark cluster of so many one-core workers, made for it here."),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Compare what a batch of changes costs: key lookup, MERGE merge-on-read (v3), MERGE copy-on-write.

    Needs the store, the REST catalog and Postgres behind it. The writers get equal tables and the same batches,
    in turns, and their tables are compared at the end. Namespace `bench` is dropped before and after.

    [bold]lake bench apply --rows 1000000,30000000 --writers lookup[/]  how the cost grows with the table
    [bold]lake bench apply --hard --rows 1000000[/]  what a table costs that has everything against it
    [bold]lake bench apply --cluster 2 --writers lookup,tasks,merge-v3 --changes 300000[/]  driver, tasks and MERGE
    """
    if hard and workers:
        raise ConfigurationError("--hard is measured in the driver alone", remedy="leave --cluster out")
    if hard:
        _apply_hard(_number(rows.split(",")[0]), files, changes, rounds, as_json)
    from bench.apply import compare
    from bench.cluster import cluster
    from bench.report import comparison_json, comparison_tables
    from bench.trips import Shape
    from bench.writers import WriterName

    sizes = [_number(text) for text in rows.split(",")]
    names = [_one_of(WriterName, text) for text in writers.split(",")]
    with _phases() as report, cluster(load_settings(), workers) as made:
        found = compare(made.settings, sizes, changes, rounds, _one_of(Shape, shape), names, report, made.processes)
    _show(comparison_tables(found), comparison_json(found), as_json)
    raise typer.Exit(0 if all(found.equal.values()) else 1)


def _apply_hard(rows: int, files: int, changes: int, rounds: int, as_json: bool) -> None:
    from bench.hard import compare
    from bench.report import hard_json, hard_tables

    with _phases() as report:
        found = compare(load_settings(), rows, files, changes, rounds, report)
    _show(hard_tables(found), hard_json(found), as_json)
    raise typer.Exit(0 if found.equal else 1)


@bench.command()
def read(
    rows: Annotated[int, typer.Option(min=1000, help="Rows of the table.")] = 1_000_000,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of random changes that it goes through.")] = 20,
    changes: Annotated[int, typer.Option(min=1, help="Changes of an epoch.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Reads counted, after one that is not.")] = 5,
    minutes: Annotated[
        float, typer.Option(min=0, help="Read the trips' mirror instead, after so many minutes of traffic.")
    ] = 0,
    rate: Annotated[float, typer.Option(min=1, help="Changes a second of that traffic.")] = 100,
    as_json: Json = False,
) -> None:
    """Time reads of a table after epochs of random changes, beside the same rows written afresh.

    DuckDB and Spark are asked, and Trino where it runs. Needs the store, the REST catalog and Postgres behind it, and
    the whole stack for --minutes, whose traffic stays in the source. Namespace `bench` is dropped before and after.

    [bold]lake bench read --rows 10000000 --epochs 100[/]  a large table
    [bold]lake bench read --minutes 15[/]  the running stack's own table, at about one epoch a second
    """
    from dataclasses import asdict

    from bench.reads import measure, measure_live
    from bench.report import reads_tables

    settings = load_settings()
    with _phases() as report:
        if minutes:
            found = measure_live(settings, minutes, rate, rounds, report)
        else:
            found = measure(settings, rows, epochs, changes, rounds, report)
    _show(reads_tables(found), {**asdict(found), "ratios": [each.ratio for each in found.reads]}, as_json)
    raise typer.Exit(0 if all(each.equal for each in found.reads) else 1)


@bench.command()
def drain(
    changes: Annotated[int, typer.Option(min=1000, help="Row changes of the backlog.")] = 200_000,
    origin: Annotated[str, typer.Option("--from", help="Where the backlog waits: kafka or postgres.")] = "kafka",
    as_json: Json = False,
) -> None:
    """Time a backlog into changelog and mirror, and count every process's CPU-seconds.

    Needs the whole stack (`lake up`). The backlog is real: 70 % inserts, 25 % updates and 5 % deletes on table trips
    of the source, 500 a transaction; it stays there. `--from kafka` stops the streaming job until Debezium has
    brought everything into Kafka; `--from postgres` stops the connector until everything is committed.
    """
    from bench.drain import Origin
    from bench.drain import drain as run
    from bench.report import drain_json, drain_tables

    with _phases() as report:
        found = run(load_settings(), changes, _one_of(Origin, origin), report)
    _show(drain_tables(found), drain_json(found), as_json)
    raise typer.Exit(0 if found.complete else 1)


@bench.command()
def copy(
    rows: Annotated[int, typer.Option(min=1000, help="Rows of the table.")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """Time the copy of a table that joins: from Postgres into mirror and changelog, its topic streaming beside it.

    Needs the whole stack (`lake up`). The table `bench_copy` is made of real trips, joins as by `lake add`, is copied
    once more against the clock, and leaves again without a trace.
    """
    from bench.copy import NAME, TABLE, measure, source_table
    from bench.report import copied_json, copied_tables
    from catalog.removal import drop_from_lake
    from catalog.source import named
    from connectors.survey import matching
    from lake import joining
    from lake.source import look

    settings = load_settings()
    with _phases() as report:
        report(f"a table of {rows:,} trips")
        with source_table(settings, rows) as source_bytes:
            try:
                joining.join(settings, matching(look(settings, None).relations, [TABLE]), report)
                joining.wait_running(settings, [TABLE], report)
                found = measure(settings, rows, source_bytes, report)
            finally:
                joining.leave(settings, [("public", NAME)], report)
                drop_from_lake(settings, named({}, "public", NAME))
    _show(copied_tables(found), copied_json(found), as_json)
    raise typer.Exit(0 if found.complete else 1)


@bench.command()
def latency(
    rate: Annotated[float, typer.Option(min=1, help="Row changes a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long counted traffic lasts.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Time from commit in Postgres until mirror, windows and activity show a change, under steady traffic.

    Needs the whole stack (`lake up`). The traffic is real: trips inserted, corrected and cancelled in the source,
    where they stay. The times are read from the tables: a change is visible in the first snapshot past its offset.
    """
    from dataclasses import asdict

    from bench.latency import measure
    from bench.report import latency_tables

    with _phases() as report:
        found = measure(load_settings(), rate, seconds, report)
    _show(latency_tables(found), asdict(found), as_json)


@bench.command()
def api(
    rows: Annotated[int, typer.Option(min=1000, help="Trips of the lake, where it has none of its own.")] = 3_000_000,
    clients: Annotated[int, typer.Option(min=1, max=200, help="Concurrent clients, each always waiting.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, max=120, help="Of each round of theirs.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Time the API's quick endpoints: cold and kept answers, while the table changes; pyiceberg and Trino beside it.

    Needs the store and the REST catalog. Tables that the lake has are measured as they are; those that it lacks are
    made and dropped again.
    """
    from dataclasses import asdict

    from bench.api import measure
    from bench.report import served_tables

    with _phases() as report:
        found = measure(load_settings(), rows, clients, seconds, report)
    _show(served_tables(found), asdict(found), as_json)
    raise typer.Exit(1 if any(each.errors for each in found.latencies) else 0)


@bench.command()
def batch(
    rows: Annotated[int, typer.Option(min=1000, help="Trips of the month.")] = 3_000_000,
    as_json: Json = False,
) -> None:
    """Time a month of taxi trips through its checks and into its table, then the analytics, and count CPU-seconds.

    Needs the store, the REST catalog and Postgres behind it. The month is made of real trips, repeated, and goes into
    a table of namespace `bench`, which is dropped. The analytics are those of the tables as they stand.
    """
    from bench.batch import measure
    from bench.report import batch_json, batch_tables

    with _phases() as report:
        found = measure(load_settings(), rows, report)
    _show(batch_tables(found), batch_json(found), as_json)


@bench.command("verify")
def verify_command(
    rows: Annotated[int, typer.Option(min=1000, help="Rows of the table.")] = 10_000_000,
    as_json: Json = False,
) -> None:
    """Time the verification of a table: Postgres, mirror and changelog compared row for row and value for value.

    Needs Postgres, the store and the REST catalog. The tables are made for it and dropped again.
    """
    from dataclasses import asdict

    from bench.proof import measure
    from bench.report import proof_tables

    with _phases() as report:
        found = measure(load_settings(), rows, report)
    _show(proof_tables(found), asdict(found), as_json)
    raise typer.Exit(0 if found.equal else 1)


@contextmanager
def _phases() -> Iterator[Callable[[str], None]]:
    """Say on standard error what is being done: one line that changes, or one line each where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda phase: console.print(phase, highlight=False)
        return
    with console.status("") as status:
        yield status.update


def _show(tables: RenderableType, document: object, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(tables)


def _number(text: str) -> int:
    try:
        number = int(text.replace("_", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise ConfigurationError(f"{text!r} is not a number of rows", remedy="give sizes such as 1000000,10000000")
    return number


def _one_of(choices: type[Choice], text: str) -> Choice:
    try:
        return choices(text)
    except ValueError as unknown:
        names = ", ".join(choices)
        raise ConfigurationError(f"{text!r} is none of {names}", remedy=f"choose from: {names}") from unknown
