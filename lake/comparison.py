"""`lake compare-engines`: twenty questions, the same answers from every engine that is there."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from catalog.errors import ConfigurationError, HistoryError, QueryError
from catalog.history import all_tables, load_table, table_history
from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import Settings, load_settings
from catalog.time_travel import AsOf, Engine
from catalog.trino import absence
from lake.app import app
from lake.questions import QUESTIONS, Question

if TYPE_CHECKING:
    import pyarrow as pa

    from lake.queries import Answers, When

ENGINES: tuple[Engine, ...] = ("duckdb", "spark", "trino")


@dataclass(frozen=True)
class Comparison:
    """How one question was answered. `reason` says why it was not compared, or what differs; seconds by engine."""

    about: str
    verdict: str
    rows: int
    reason: str
    seconds: dict[str, float]


@app.command("compare-engines")
def compare_engines(
    engines: Annotated[list[str] | None, typer.Option("--engine", help="duckdb, spark, trino; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Ask every engine the same twenty questions and compare the answers, value for value.

    Aggregates, joins, nulls, decimals, instants, windows, json, arrays, structs, deletion vectors, partitions, and the
    past by snapshot, time and LSN. An engine that is not there is told as not run. Exit code 1 when answers differ, 2
    when fewer than two engines are there.
    """
    settings = load_settings()
    absent = {engine: reason for engine in engines or ENGINES if (reason := why_absent(settings, engine))}
    present = [engine for engine in ENGINES if engine in (engines or ENGINES) and engine not in absent]
    if len(present) < 2:
        told = "; ".join(f"{engine}: {reason}" for engine, reason in absent.items())
        raise ConfigurationError(f"there is nothing to compare ({told})", remedy="lake up, lake up --with trino")
    found = list(compare(settings, present))
    if as_json:
        report = {"engines": present, "not_run": absent, "questions": [asdict(each) for each in found]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(found, present, absent)
    raise typer.Exit(1 if any(each.verdict == "differs" for each in found) else 0)


def why_absent(settings: Settings, engine: str) -> str:
    """Why an engine cannot be asked; empty when it can. Raises ConfigurationError for one that there is not."""
    if engine not in ENGINES:
        raise ConfigurationError(f"there is no engine {engine}", remedy=f"one of: {', '.join(ENGINES)}")
    return absence(settings) if engine == "trino" else ""


def compare(settings: Settings, engines: Sequence[Engine]) -> Iterator[Comparison]:
    """Ask these engines each question in turn."""
    from lake.queries import Answers

    pasts = choose_pasts(settings)
    with ExitStack() as stack:
        opened = {engine: stack.enter_context(Answers(settings, engine)) for engine in engines}
        for question in QUESTIONS:
            yield _compared(question, opened, pasts)


def choose_pasts(settings: Settings) -> dict[str, When]:
    """The snapshots that are current, so that tables that are written to cannot differ; of the mirror of trips the
    oldest snapshot, a time in the middle of its history and a commit in the middle of its changelog."""
    catalog = iceberg_catalog(settings)
    heads = {name: catalog.load_table(name).metadata.current_snapshot_id for name in all_tables(catalog)}
    pasts: dict[str, When] = {"now": {name: head for name, head in heads.items() if head is not None}}
    trips = load_table(catalog, "trips")
    if log := sorted(trips.metadata.snapshot_log, key=lambda entry: entry.timestamp_ms):
        middle = datetime.fromtimestamp(log[len(log) // 2].timestamp_ms / 1000, UTC)
        pasts["snapshot"] = AsOf("snapshot", str(table_history(trips)[-1].snapshot_id))
        pasts["time"] = AsOf("time", middle.isoformat())
    if commit := _middle_commit(settings):
        pasts["lsn"] = AsOf("lsn", str(commit))
    return pasts


def _middle_commit(settings: Settings) -> int | None:
    """A commit in the middle of the changelog of trips; where nothing came after their copy, that of the copy."""
    with duckdb_connection(settings) as reader:
        row = reader.execute(
            "with events as (from iceberg.taxi_cdc.trips_cdc)"
            " select coalesce(quantile_disc(distinct previous_commit_lsn, 0.5), max(lsn)) from events"
            " where generation = (select max(generation) from events)"
        ).fetchone()
    return row[0] if row else None


def _compared(question: Question, opened: dict[Engine, Answers], pasts: dict[str, When]) -> Comparison:
    if question.past not in ("all", *pasts):
        return Comparison(question.about, "not compared", 0, "taxi_cdc.trips has no such past yet", {})
    answers: dict[Engine, list[tuple[Any, ...]]] = {}
    seconds: dict[str, float] = {}
    for engine, engine_answers in opened.items():
        began = time.monotonic()
        try:
            answers[engine] = rows(engine_answers.ask(question.text(engine), pasts.get(question.past)))
        except HistoryError as missing:
            return Comparison(question.about, "not compared", 0, str(missing.args[0]), {})
        except QueryError as refused:
            return Comparison(question.about, "differs", 0, f"{engine} refuses it: {refused.args[0]}", seconds)
        seconds[engine] = round(time.monotonic() - began, 2)
    first, *others = answers
    count = len(answers[first])
    for other in others:
        if difference := first_difference(answers[first], answers[other]):
            return Comparison(question.about, "differs", count, f"{first}, {other}: {difference}", seconds)
    return Comparison(question.about, "equal", count, "", seconds)


def rows(answer: pa.Table) -> list[tuple[Any, ...]]:
    """An answer's rows in Python's values, in which 1, 1.0 and Decimal(1) are equal; names do not count."""
    columns = [column.to_pylist() for column in answer.columns]
    return list(zip(*columns, strict=True))


def first_difference(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> str:
    """The first row in which two answers differ, or their lengths; empty when they are equal."""
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} rows"
    for place, (here, there) in enumerate(zip(one, other, strict=True)):
        if len(here) != len(there) or not all(map(_same, here, there)):
            return f"row {place + 1}: {here} and {there}"
    return ""


def _same(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float) and math.isnan(here):
        return math.isnan(there)
    return bool(here == there)


def _print(found: Sequence[Comparison], present: Sequence[str], absent: dict[str, str]) -> None:
    from lake.rows import print_wide

    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("question", "verdict", "rows", *(f"{engine}, s" for engine in present), ""):
        table.add_column(heading, justify="left" if heading in ("question", "verdict", "") else "right")
    styles = {"equal": "green", "differs": "bold red", "not compared": "yellow"}
    for each in found:
        times = (f"{each.seconds[engine]:.2f}" if engine in each.seconds else "" for engine in present)
        verdict = Text(each.verdict, style=styles[each.verdict])
        table.add_row(each.about, verdict, f"{each.rows:,}", *times, Text(each.reason))
    print_wide(table)
    for engine, reason in absent.items():
        print_wide(Text(f"{engine}: not run, {reason}", style="yellow"))
    equal = sum(each.verdict == "equal" for each in found)
    print_wide(Text(f"{equal} of {len(found)} answers are equal in {', '.join(present)}"))
