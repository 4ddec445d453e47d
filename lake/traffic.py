"""`lake connect`, `lake replay` and `lake kafka`: the source, its connector, its traffic, and a look into Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from catalog.settings import load_settings
from lake.app import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.load import Load
    from connectors.traffic import Counts

connect = typer.Typer(
    invoke_without_command=True,
    help="Prepare the source, the topics and the connector, and wait until it is RUNNING; as often as wanted.",
)
kafka = typer.Typer(no_args_is_help=True, help="Look into Kafka, as a reader of committed records.")
app.add_typer(connect, name="connect")
app.add_typer(kafka, name="kafka")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Topic = Annotated[str, typer.Argument(help="Full name, such as lakehouse.trips.")]


@connect.callback()
def register(context: typer.Context) -> None:
    """Prepare the source, the topics and the connector, and wait until it is RUNNING.

    Roles, tables, privileges and the publication are made by their owners; the connector only reads. Running it
    again changes nothing, or updates the connector when its configuration changed. When the connector fails, its
    trace is shown and the exit code is 2.
    """
    if context.invoked_subcommand:
        return
    from connectors.setup import ensure_source
    from lake.joining import connect as connect_tables

    settings, console = load_settings(), Console()
    with console.status("source: roles, tables, publication"):
        ensure_source(settings)
    console.print(f"[green]✓[/] source [bold]{settings.source_database}[/], publication {settings.publication}")
    with console.status("topics and connector"):
        outcome, joined = connect_tables(settings)
    console.print(f"[green]✓[/] connector [bold]{settings.connector}[/] {outcome}, RUNNING")
    for table in joined:
        console.print(f"[green]✓[/] table [bold]{table}[/] joins, its rows are copied; `lake status` shows how far")


@connect.command()
def reset() -> None:
    """Forget the connector's offsets and its slot: every table is copied anew, under the same topics.

    Needed when the replication slot is gone or was moved: the changes between are lost to the connector, so only a
    new initial copy makes the tables equal to the source again.
    """
    from connectors.registration import start_over
    from connectors.topics import ensure_topics

    settings, console = load_settings(), Console()
    with console.status("offsets, slot and connector"):
        ensure_topics(settings)
        start_over(settings)
    console.print(f"[green]✓[/] connector [bold]{settings.connector}[/] RUNNING, copying every table anew")


@app.command()
def replay(
    rows: Annotated[int, typer.Option(min=1, help="Real trips of the initial load.")] = 120_000,
    rate: Annotated[float, typer.Option(min=0.1, help="Row changes a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=0, help="How long traffic lasts.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed on the same trips gives the same statements.")] = 1,
    load_only: Annotated[bool, typer.Option("--load-only", help="Only the initial load.")] = False,
    backlog: Annotated[
        int, typer.Option(min=0, help="Instead of traffic: so many changes, as fast as possible, 500 a transaction.")
    ] = 0,
    reset: Annotated[bool, typer.Option("--reset", help="Truncate trips, vendors and payment types first.")] = False,
    as_json: Json = False,
) -> None:
    """Replay real taxi trips of New York into the source: an initial load, once, then traffic in transactions.

    Times move by whole weeks as New York local time, so that weekday and hour stay true and no trip is later than
    now. Table replay of the source keeps what was done: weeks, seed, counts.

    [bold]lake replay --load-only[/]                       the 120,000 trips
    [bold]lake replay --rate 100 --seconds 60 --seed 7[/]  new trips, corrections, cancellations, renames
    [bold]lake replay --backlog 1000000[/]                 work for a benchmark
    """
    from connectors.backlog import run_backlog
    from connectors.load import load_trips
    from connectors.traffic import run_traffic

    settings, console = load_settings(), Console(stderr=as_json)
    with progress_bar(console, "initial load", rows) as advance:
        load = load_trips(settings, rows, advance, reset=reset)
    _tell_load(console, load)
    counts: Counts | None = None
    if backlog:
        with progress_bar(console, "backlog", backlog) as advance:
            counts = run_backlog(settings, backlog, seed, advance)
    elif seconds and not load_only:
        with progress_bar(console, f"traffic, seed {seed}", round(rate * seconds)) as advance:
            counts = run_traffic(settings, rate, seconds, seed, advance)
    if counts:
        tell_counts(console, counts)
    if as_json:
        document = {"load": asdict(load), "changes": counts.as_json() if counts else None}
        typer.echo(json.dumps(document, default=str))


@kafka.command("list")
def list_(as_json: Json = False) -> None:
    """Name every topic, except those internal to Kafka and Connect, with its partitions."""
    from connectors.inspection import list_topics

    topics = list_topics(load_settings())
    if as_json:
        typer.echo(json.dumps(topics))
        return
    _print_table(("topic", "partitions"), topics.items())


@kafka.command()
def describe(topic: Topic, as_json: Json = False) -> None:
    """Show a topic's partitions, the offsets it holds, and the settings that decide whether a record can get lost."""
    from connectors.inspection import partitions, topic_settings

    settings = load_settings()
    found, options = partitions(settings, topic), topic_settings(settings, topic)
    if as_json:
        typer.echo(json.dumps({"topic": topic, "partitions": [asdict(one) for one in found], "settings": options}))
        return
    _print_table(("partition", "first offset", "next offset"), ((one.number, one.start, one.end) for one in found))
    _print_table(("setting", "value"), options.items())


@kafka.command()
def consume(
    topic: Topic,
    number: Annotated[int | None, typer.Option("-n", min=1, help="How many records, the last ones.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="The first records instead.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new records until Ctrl+C.")] = False,
) -> None:
    """Print records as one JSON line each: place, headers, key and value; the value of a tombstone is null.

    Without options the last ten. Only committed records are shown; transaction markers take offsets, so offsets
    have holes and are no counts.
    """
    from connectors.inspection import read_records

    limit = number or (None if follow or from_beginning else 10)
    try:
        for record in read_records(load_settings(), topic, limit=limit, from_beginning=from_beginning, follow=follow):
            typer.echo(json.dumps(record.as_json(), ensure_ascii=False))
    except KeyboardInterrupt:
        return


@kafka.command()
def lag(topic: Topic, as_json: Json = False) -> None:
    """Compare a topic's next offset with the position of the table that the streaming job writes from it."""
    from connectors.lag import lags

    found = lags(load_settings(), topic)
    if as_json:
        typer.echo(json.dumps([asdict(one) | {"lag": one.lag} for one in found]))
        return
    if any(one.position is None for one in found):
        Console().print("no position yet: the streaming job has not committed this table, or does not run")
    _print_table(
        ("partition", "next offset", "position", "lag"),
        ((one.partition, one.end, _or_dash(one.position), _or_dash(one.lag)) for one in found),
    )


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that vanishes when done; call what it gives with each advance."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)


def _tell_load(console: Console, load: Load) -> None:
    shifted = f"shifted by {load.shift_weeks} weeks" if load.shift_weeks is not None else "their shift is not recorded"
    if load.loaded:
        rate = f"{load.seconds:.1f} s, {load.rows_per_second:,.0f} rows/s"
        console.print(f"[green]✓[/] loaded [bold]{load.rows:,}[/] real trips, {shifted}, {rate}")
    else:
        console.print(f"[green]✓[/] [bold]{load.rows:,}[/] trips are there already, {shifted}; --reset starts anew")


def tell_counts(console: Console, counts: Counts) -> None:
    """Print what traffic did, in one line."""
    console.print(
        f"[green]✓[/] [bold]{counts.changes:,}[/] changes in {counts.transactions:,} transactions:"
        f" {counts.inserts:,} inserts, {counts.updates:,} updates, {counts.deletes:,} deletes;"
        f" {counts.rolled_back:,} transactions rolled back; {counts.seconds:.1f} s, {counts.rate:,.0f} changes/s"
    )


def _or_dash(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _print_table(header: tuple[str, ...], rows: Any) -> None:
    table = Table(*header)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)
