"""`lake demo`: the whole way once, with real trips, proven equal, and where to look then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from catalog.errors import ComponentError
from catalog.settings import Settings, load_settings
from lake.app import app

if TYPE_CHECKING:
    from connectors.traffic import Counts

console = Console()
_COPY_SECONDS = 300.0
_BATCH_SECONDS = 1800.0
GROUPS = ("airflow", "serving")
"""What `--all` adds to the core."""
_LOADS = ("nyc_taxi_iceberg_etl", "nyc_weather_etl")
_ANALYTICS = "comprehensive_analytics_pipeline"
_EXAMPLE = ("public.payment_types", "public.trips", "public.vendors")


@app.command()
def demo(
    rows: Annotated[int, typer.Option(min=1, help="Real trips of the initial load.")] = 120_000,
    rate: Annotated[float, typer.Option(min=1, help="Row changes a second.")] = 100.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long traffic lasts.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed on the same trips gives the same statements.")] = 1,
    everything: Annotated[
        bool, typer.Option("--all", help="Airflow, API and dashboard too: batch loads, analytics, predictions.")
    ] = False,
) -> None:
    """Start the stack, copy real taxi trips, stream traffic, prove every mirror equal to Postgres, travel in time.

    Ends with 0 when all is equal, and leaves the stack running. Running it again goes on from there.
    """
    settings, began, started = load_settings(), datetime.now(UTC), time.monotonic()
    groups = GROUPS if everything else ()
    with _phase("stack, source and connector"):
        _bring_up(settings, rows, groups)
    with _phase("initial copy into Iceberg"):
        _wait_for_tables(settings)
    before = datetime.now(UTC)
    with _phase(f"traffic at {rate:g} changes a second for {seconds:g} s"):
        counts = _traffic(settings, rate, seconds, seed)
    with _phase("verification, lake against Postgres"):
        equal = _verify(settings)
    _summary(settings, counts, before)
    _time_travel(settings, before)
    if everything:
        _batch(settings, began)
    _where_to_look(settings, groups, time.monotonic() - started)
    if not equal:
        raise typer.Exit(1)


@contextmanager
def _phase(name: str) -> Iterator[None]:
    console.rule(f"[bold]{name}", align="left")
    started = time.monotonic()
    yield
    console.print(f"[dim]{time.monotonic() - started:.1f} s[/]")


def _bring_up(settings: Settings, rows: int, groups: tuple[str, ...]) -> None:
    """The trips are loaded before the connector starts, so that they come as its initial copy."""
    from connectors.load import load_trips
    from connectors.setup import ensure_source
    from lake.stack import install, steps
    from lake.stack_view import Progress
    from stack import components, control

    def source_with_trips(chosen: Settings) -> None:
        ensure_source(chosen)
        load_trips(chosen, rows)

    install(groups)
    with Progress([each.name for each in components.chosen(groups=groups)], console) as progress:
        control.up(settings, groups=groups, then={**steps(), "postgres": source_with_trips}, report=progress.report)


def _wait_for_tables(settings: Settings) -> None:
    """Until the example's tables stream and none of them is being copied. Raises ComponentError."""
    from lake.stack_view import read_stream

    deadline = time.monotonic() + _COPY_SECONDS
    with console.status("waiting for the streaming job") as status:
        while time.monotonic() < deadline:
            tables = (read_stream(settings) or {}).get("tables", {})
            stopped = [f"{name}: {tables[name]['reason']}" for name in _EXAMPLE if _state(tables, name) == "stopped"]
            if stopped:
                raise ComponentError(f"a table stopped: {stopped[0]}", remedy="lake status")
            held = {name: tables[name].get("rows", 0) for name in _EXAMPLE if _state(tables, name) == "running"}
            if len(held) == len(_EXAMPLE) and all(held.values()):
                console.print(", ".join(f"{name} {rows:,} rows" for name, rows in held.items()))
                return
            status.update(f"{sum(table.get('rows', 0) for table in tables.values()):,} rows so far")
            time.sleep(0.3)
    raise ComponentError("the initial copy did not end", remedy="lake status; lake logs stream; lake logs connect")


def _state(tables: dict[str, dict[str, str]], name: str) -> str | None:
    return tables.get(name, {}).get("state")


def _traffic(settings: Settings, rate: float, seconds: float, seed: int) -> Counts:
    from connectors.traffic import run_traffic
    from lake.traffic import progress_bar, tell_counts

    with progress_bar(console, f"seed {seed}", round(rate * seconds)) as advance:
        counts = run_traffic(settings, rate, seconds, seed, advance)
    tell_counts(console, counts)
    return counts


def _verify(settings: Settings) -> bool:
    from catalog.verification import verify
    from lake.rows import VerificationProgress, verification_tables

    with VerificationProgress(console) as progress:
        report = verify(settings, None, progress=progress.report)
    console.print(verification_tables(report))
    return report.equal


def _summary(settings: Settings, counts: Counts, before: datetime) -> None:
    from catalog.freshness import freshness
    from catalog.history import load_table
    from catalog.readers import iceberg_catalog

    catalog, shown = iceberg_catalog(settings), Table("table", "rows", "snapshots", title="what the lake holds")
    for name in ("trips", "vendors", "payment_types"):
        for table in (load_table(catalog, name), load_table(catalog, f"{name}_cdc")):
            snapshot = table.current_snapshot()
            summary = snapshot.summary if snapshot else None
            total, deleted = ((summary and summary[f"total-{kind}"]) or 0 for kind in ("records", "position-deletes"))
            shown.add_row(".".join(table.name()), f"{int(total) - int(deleted):,}", str(len(table.metadata.snapshots)))
    console.print(shown)
    console.print(f"{counts.rate:,.0f} changes/s in Postgres over {counts.seconds:.0f} s")
    for name in ("taxi_cdc.trips", "realtime.trip_aggregations"):
        if measured := freshness(settings, "trips", before, name):
            console.print(
                f"commit in Postgres to visible in {name}: median {measured.median:.2f} s, 95 % within"
                f" {measured.percentile_95:.2f} s, largest {measured.largest:.2f} s, over {measured.events:,} changes"
            )


_QUERIES = (
    ("trips and fares now", "", "select count(*) as trips, sum(total_amount) as revenue from taxi_cdc.trips"),
    (
        "the same before the traffic began",
        "before",
        "select count(*) as trips, sum(total_amount) as revenue from taxi_cdc.trips",
    ),
    (
        "the life of the trip that changed most",
        "",
        "select key.trip_id, op, committed_at, lsn, after.fare_amount, after.tip_amount, after.total_amount"
        " from taxi_cdc.trips_cdc where key.trip_id = (select key.trip_id from taxi_cdc.trips_cdc where op <> 't'"
        " group by 1 order by count(*) desc, 1 limit 1) order by topic_offset",
    ),
)


_INSIGHTS = (
    (
        "trips by weather, 2019",
        "select weather_condition, sum(total_trips) as trips, avg(avg_fare_amount) as fare"
        " from analytics.trip_weather_correlation where origin = 'tlc' group by 1 order by 2 desc",
    ),
    (
        "the busiest zones of the last week",
        "select zone_name, borough, sum(total_pickups) as pickups, sum(total_revenue) as revenue"
        " from analytics.zone_performance_metrics where trip_date >= current_date - 7 group by all"
        " order by revenue desc limit 5",
    ),
    (
        "where demand will be in the next hours",
        "select location_id, prediction_hour, predicted_demand, confidence_score from ml.demand_prediction_features"
        " where prediction_hour >= now() order by predicted_demand desc limit 5",
    ),
)


def _ask(settings: Settings, queries: tuple[tuple[str, str], ...]) -> None:
    from lake.queries import Answers
    from lake.rows import print_rows

    with Answers(settings, "duckdb") as answers:
        for title, query in queries:
            console.print(f'\n{title}\n[dim]lake sql "{query}"[/]', highlight=False)
            print_rows(answers.ask(query), "table")


def _time_travel(settings: Settings, before: datetime) -> None:
    from catalog.time_travel import AsOf
    from lake.queries import Answers
    from lake.rows import print_rows

    console.rule("[bold]time travel", align="left")
    for title, past, query in _QUERIES:
        moment = f"time:{before.isoformat(timespec='milliseconds')}"
        option = f" --as-of {moment}" if past else ""
        console.print(f'\n{title}\n[dim]lake sql{option} "{query}"[/]', highlight=False)
        with Answers(settings, "duckdb") as answers:
            print_rows(answers.ask(query, AsOf.parse(moment) if past else None), "table")


def _batch(settings: Settings, began: datetime) -> None:
    """The two loads, by their schedule or triggered; what they bring sets the analytics going by itself."""
    from lake.dag_runs import Airflow

    airflow = Airflow(settings)
    with _phase("batch: taxi and weather loads, then analytics and predictions"), console.status("") as status:
        for dag in (*_LOADS, _ANALYTICS):
            airflow.await_dag(dag)
        # a stack that has just been made runs them by their schedule at once
        runs = {dag: airflow.newest_since(dag, began) or airflow.trigger(dag) for dag in _LOADS}
        for dag, run in runs.items():
            console.print(airflow.await_end(dag, run, _BATCH_SECONDS, status.update).as_text(), highlight=False)
        deadline = time.monotonic() + 60
        while (run_id := airflow.newest_since(_ANALYTICS, began)) is None:
            if time.monotonic() > deadline:
                raise ComponentError(f"{_ANALYTICS} did not start", remedy="scripts/lake logs airflow-scheduler")
            time.sleep(1)
        console.print(airflow.await_end(_ANALYTICS, run_id, _BATCH_SECONDS, status.update).as_text(), highlight=False)
    _ask(settings, _INSIGHTS)


def _where_to_look(settings: Settings, groups: tuple[str, ...], seconds: float) -> None:
    from lake.stack_view import render_addresses
    from stack.components import chosen

    console.rule("[bold]where to look", align="left")
    console.print(render_addresses(settings, chosen(groups=groups)))
    console.print(
        "lake status · lake verify · lake history trips · lake sql · lake logs\n"
        f"The whole took {seconds:.0f} s. The stack goes on running: [bold]lake replay[/] makes more traffic,"
        " [bold]lake down[/] stops it, [bold]lake down --purge[/] also deletes its data.",
        highlight=False,
    )
