"""Figures as they look in a terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.api import Served
from bench.apply import Comparison, Result, Round
from bench.batch import BatchCosts
from bench.copy import Copied
from bench.drain import Drain, Phase
from bench.hard import Hard
from bench.latency import Latency
from bench.machine import Machine
from bench.proof import Proof
from bench.reads import Reads
from bench.writers import WriterName

_MIB = 1 << 20


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """All figures of `lake bench apply`."""
    results = [
        {**asdict(each), "rows_per_second": _rate(each), "cpu_seconds_per_batch": each.median.cpu}
        for each in comparison.results
    ]
    ratios = {str(rows): comparison.ratios(rows) for rows in comparison.equal}
    return {**asdict(comparison), "results": results, "ratios": ratios, "growth": comparison.growth()}


def comparison_tables(comparison: Comparison) -> RenderableType:
    """What a batch costs, by writer and table size."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    names = list(dict.fromkeys(name for each in comparison.results for name in each.median.cpu_seconds))
    columns = ("writer", "rows", "CPU-s", "x ours", *names, "wall s", "changes/s", "written MiB", "files", "touched")
    for place, heading in enumerate((*columns, "first CPU-s")):
        table.add_column(heading, justify="left" if place == 0 else "right")
    for each in comparison.results:
        ratio = 1.0 if each.writer is WriterName.LOOKUP else comparison.ratios(each.rows).get(each.writer)
        table.add_row(
            each.writer.words,
            f"{each.rows:,}",
            f"{each.median.cpu:.2f}",
            "" if ratio is None else f"{ratio:.1f}",
            *(f"{each.median.cpu_seconds.get(name, 0):.2f}" for name in names),
            *_amounts(each.median, _rate(each)),
            f"{each.first.cpu:.2f}",
        )
    rounds = len(comparison.results[0].rounds)
    what = f"one batch of {comparison.changes:,} changes, {comparison.shape.value} keys"
    return Group(
        Text(f"{what}; medians of {rounds} rounds after a warm-up"),
        table,
        *_verdicts(comparison),
        _memory(comparison.peak_memory),
        *_machine(comparison.machine),
    )


def hard_json(run: Hard) -> dict[str, Any]:
    """All figures of `lake bench apply --hard`."""
    return {**asdict(run), "ratios": run.ratios(), "ratio": run.ratio}


def hard_tables(run: Hard) -> RenderableType:
    """What each batch cost in both cases."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("batch", "friendly CPU-s", "hard CPU-s", "x", "friendly s", "hard s", "hard: files", "touched"):
        table.add_column(heading, justify="right")
    for number, (friendly, hard) in enumerate([run.first, *run.rounds]):
        figures = (friendly.cpu, hard.cpu, hard.cpu / friendly.cpu, friendly.wall_seconds, hard.wall_seconds)
        counts = (str(hard.files_written), str(hard.files_touched))
        table.add_row(str(number or "first"), *(f"{figure:.2f}" for figure in figures), *counts)
    cases = [
        Text(
            f"{case.name}: {case.keys.value} keys, {case.rows:,} rows in {case.files:,} files ({left:,} at the end),"
            f" memory for keys {case.cache_bytes / _MIB:.1f} MiB"
        )
        for case, left in zip(run.cases, run.files_left, strict=True)
    ]
    verdict = "[green]both tables hold the same trips[/]" if run.equal else "[bold red]the tables differ[/]"
    return Group(
        Text(f"one batch: {run.changes:,} changes, uniform keys; small files merged after each"),
        *cases,
        table,
        Text(f"all batches after the first together: {run.ratio:.1f}x"),
        Text.from_markup(verdict),
        _memory(run.peak_memory),
        *_machine(run.machine),
    )


def reads_tables(run: Reads) -> RenderableType:
    """What a question takes of either table."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    headings = ("engine", "question", "changed s", "fresh s", "x", "changed CPU-s", "fresh CPU-s", "answers")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place in (0, 1, 7) else "right")
    for each in run.reads:
        figures = (each.changed_seconds, each.fresh_seconds, each.ratio, each.changed_cpu, each.fresh_cpu)
        told = "[green]equal[/]" if each.equal else "[bold red]differ[/]"
        table.add_row(each.engine, each.question, *(f"{figure:.2f}" for figure in figures), told)
    made = f"{run.files} files, {run.vectors} with a deletion vector, {run.snapshots} snapshots, "
    return Group(
        Text(f"{run.history}: {made}{run.metadata_bytes / 1000:.0f} kB of metadata; fresh: the same rows, sorted"),
        table,
        *([] if any(each.engine == "Trino" for each in run.reads) else [Text("Trino: not run")]),
        *_machine(run.machine),
    )


def served_tables(run: Served) -> RenderableType:
    """How fast the API answered, by endpoint and kind of request."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, heading in enumerate(
        ("endpoint", "requests", "count", "median ms", "95 % ms", "max ms", "/s", "CPU ms", "errors")
    ):
        table.add_column(heading, justify="left" if place < 2 else "right")
    for each in run.latencies:
        figures = (each.median, each.percentile_95, each.largest, each.per_second, each.cpu_milliseconds)
        table.add_row(each.name, each.kind, f"{each.requests:,}", *(f"{n:,.1f}" for n in figures), str(each.errors))
    rows = ", ".join(f"{name} {count:,}" for name, count in run.rows.items())
    return Group(
        Text(f"rows: {rows}"),
        table,
        Text("CPU ms: of the process that answers, for one request, whatever else runs"),
        _memory(run.peak_memory),
        *([] if any("Trino" in each.kind for each in run.latencies) else [Text("Trino: not run")]),
        *_machine(run.machine),
    )


def drain_json(drained: Drain) -> dict[str, Any]:
    """All figures of `lake bench drain`."""
    phases = [
        {**asdict(each), "events_per_second": each.events_per_second, "cpu_per_thousand": each.cpu_per_thousand}
        for each in drained.phases
    ]
    return {**asdict(drained), "phases": phases}


def drain_tables(drained: Drain) -> RenderableType:
    """How fast each phase went, and what it cost."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    names = list(dict.fromkeys(name for each in drained.phases for name in each.cpu_seconds))
    headings = ("phase", "changes", "seconds", "changes/s", "steady/s", "commits", "CPU-s per 1,000")
    for place, heading in enumerate((*headings, *(f"{name} CPU-s" for name in names))):
        table.add_column(heading, justify="left" if place == 0 else "right")
    for each in drained.phases:
        table.add_row(*_phase(each), *(f"{each.cpu_seconds.get(name, 0):.1f}" for name in names))
    arrived = (
        "[green]every change arrived once[/]" if drained.complete else "[bold red]changes are missing or double[/]"
    )
    made = f"the backlog of {drained.changes:,} changes took Postgres {drained.backlog_seconds:.1f} s"
    explained = "steady: from the first commit of the changelog to its last, the first one's events left out"
    return Group(
        table,
        Text(f"{made}; {explained}", style="dim"),
        Text.from_markup(arrived),
        _memory(drained.peak_memory),
        *_machine(drained.machine),
    )


def copied_json(run: Copied) -> dict[str, Any]:
    """All figures of `lake bench copy`."""
    return {**asdict(run), "rows_per_second": run.rows_per_second}


def copied_tables(run: Copied) -> RenderableType:
    """How fast the rows came, and what it cost."""
    spent = ", ".join(f"{name} {cpu:.1f}" for name, cpu in run.cpu_seconds.items() if cpu >= 0.05)
    verdict = "[green]every row is there once[/]" if run.complete else "[bold red]rows are missing or double[/]"
    return Group(
        Text(
            f"{run.rows:,} rows, {run.source_bytes / _MIB:,.0f} MiB in Postgres: {run.seconds:.1f} s,"
            f" {run.rows_per_second:,.0f} rows/s into mirror and changelog"
        ),
        Text(f"CPU-seconds: {spent}; {sum(run.cpu_seconds.values()):.1f} in all"),
        Text.from_markup(verdict),
        _memory(run.peak_memory),
        *_machine(run.machine),
    )


def latency_tables(run: Latency) -> RenderableType:
    """Seconds from commit to visible, by table."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, heading in enumerate(("visible in", "changes", "median s", "95 % s", "largest s")):
        table.add_column(heading, justify="left" if place == 0 else "right")
    for name, seen in run.visible.items():
        figures = (seen.median, seen.percentile_95, seen.largest)
        table.add_row(name, f"{seen.events:,}", *(f"{seconds:.2f}" for seconds in figures))
    spent = ", ".join(f"{name} {cpu / run.seconds:.2f}" for name, cpu in run.cpu_seconds.items() if cpu)
    return Group(
        Text(f"{run.changes:,} changes, {run.rate:g} a second for {run.seconds:.0f} s"),
        table,
        Text(f"processors kept busy: {spent}; {sum(run.cpu_seconds.values()) / run.seconds:.2f} in all"),
        _memory(run.peak_memory),
        *_machine(run.machine),
    )


def batch_json(costs: BatchCosts) -> dict[str, Any]:
    """All figures of `lake bench batch`."""
    steps = [
        {**asdict(each), "rows_per_second": each.rows_per_second, "cpu_per_million": each.cpu_per_million}
        for each in costs.steps
    ]
    return {**asdict(costs), "steps": steps}


def batch_tables(costs: BatchCosts) -> RenderableType:
    """How fast each step went, and what it cost."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    names = list(dict.fromkeys(name for each in costs.steps for name in each.cpu_seconds))
    headings = ("step", "trips", "seconds", "trips/s", "CPU-s per million", *(f"{name} CPU-s" for name in names))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right")
    for each in costs.steps:
        table.add_row(
            each.name,
            f"{each.rows:,}",
            f"{each.wall_seconds:.1f}",
            f"{each.rows_per_second:,.0f}",
            f"{each.cpu_per_million:.1f}",
            *(f"{each.cpu_seconds.get(name, 0):.1f}" for name in names),
        )
    month = f"a month of {costs.rows:,} trips, {costs.file_bytes / _MIB:.0f} MiB, {costs.origin}"
    left_out = [Text(f"analytics transform left out: {costs.left_out}")] if costs.left_out else []
    return Group(Text(month), table, *left_out, _memory(costs.peak_memory), *_machine(costs.machine))


def proof_tables(proof: Proof) -> RenderableType:
    """How long a verification took, and what each process spent on it."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("rows", "seconds", "rows/s", *(f"{name} CPU-s" for name in proof.cpu_seconds)):
        table.add_column(heading, justify="right")
    rate = f"{proof.rows / proof.wall_seconds:,.0f}" if proof.wall_seconds else ""
    spent = (f"{cpu:.1f}" for cpu in proof.cpu_seconds.values())
    table.add_row(f"{proof.rows:,}", f"{proof.wall_seconds:.1f}", rate, *spent)
    verdict = Text("equal", style="green") if proof.equal else Text("not equal", style="bold red")
    return Group(table, verdict, _memory(proof.peak_memory), *_machine(proof.machine))


def _rate(result: Result) -> float:
    """Changes a second of wall time."""
    return result.changes / result.median.wall_seconds if result.median.wall_seconds else 0.0


def _amounts(round_: Round, rate: float) -> tuple[str, ...]:
    written = f"{round_.bytes_written / _MIB:.1f}"
    return f"{round_.wall_seconds:.2f}", f"{rate:,.0f}", written, str(round_.files_written), str(round_.files_touched)


def _verdicts(comparison: Comparison) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for rows, equal in comparison.equal.items():
        verdict = "[green]all writers made the same table[/]" if equal else "[bold red]the tables differ[/]"
        lines.append(Text.from_markup(f"{rows:,} rows: {verdict}, loaded in {comparison.load_seconds[rows]:.1f} s"))
    if len(comparison.equal) > 1:
        sizes = sorted(comparison.equal)
        grown = ", ".join(f"{name.words} {factor:.2f}x" for name, factor in comparison.growth().items())
        lines.append(Text(f"CPU from {sizes[0]:,} to {sizes[-1]:,} rows: {grown}"))
    return lines


def _phase(phase: Phase) -> tuple[str, ...]:
    if not phase.events:
        return phase.name, "", f"{phase.wall_seconds:.1f}", "", "", "", ""
    steady = "" if phase.steady_events_per_second is None else f"{phase.steady_events_per_second:,.0f}"
    return (
        phase.name,
        f"{phase.events:,}",
        f"{phase.wall_seconds:.1f}",
        f"{phase.events_per_second:,.0f}",
        steady,
        str(phase.commits or ""),
        f"{phase.cpu_per_thousand:.4f}",
    )


def _memory(peaks: dict[str, int]) -> Text:
    return Text("peak memory, MiB: " + ", ".join(f"{name} {held // _MIB:,}" for name, held in peaks.items()))


def _machine(machine: Machine) -> tuple[Text, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    where = f"{machine.processors} processors, {machine.memory_bytes / (1 << 30):.0f} GiB"
    load = f"load average {machine.load_before} before, {machine.load_after} after"
    return Text(f"{machine.date}, {where}, {load}", style="dim"), Text(versions, style="dim")
