"""`lake chaos`: seeded transactions under seeded faults, compared with an independent decoder of the WAL."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catalog.settings import load_settings
from lake.app import app

if TYPE_CHECKING:
    from conformance.outcome import Report


@app.command()
def chaos(
    seed: Annotated[int | None, typer.Option(help="Of transactions and faults; a new one by default.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="So long it writes and breaks.")] = 5,
    faults: Annotated[
        str | None, typer.Option(help="Only those whose names begin so, separated by commas: 'kill,slot dropped'.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Name every fault, and what cannot be done here.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Break the running stack in every way of the list while a seed's transactions are committed. `--list` names them.

    Processes are killed and stopped, the stream dies at its steps, answers are lost, disks fill, clocks step, topics
    and the slot are damaged: every table of the stack shares the faults, so not on one that others rely on. Two tables
    of its own get inserts, updates, deletes, key changes, hot keys, long values, truncates, rollbacks and new columns;
    trips come and go. Afterwards mirrors must equal Postgres, and each changelog what `test_decoding` read from the WAL
    on a slot of its own: every event once and in order, gaps only where a status named them; as of random commits the
    mirrors must hold what its events make, the real-time tables what their recomputation says, and no file may lack.
    The same seed and faults give the same plan. Exit code 1 when anything was lost, duplicated or wrong. If it is
    broken off itself, `lake up` puts the stream back.
    """
    from conformance.chaos import run

    if show:
        _list()
        return
    chosen = random.randrange(1_000_000) if seed is None else seed
    with Console(stderr=True).status("") as status:
        report = run(load_settings(), chosen, minutes, faults, lambda what: status.update(f"seed {chosen}: {what}"))
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=1) + "\n")
    else:
        _print(report)
    raise typer.Exit(0 if report.right else 1)


def _list() -> None:
    from conformance.faults import FAULTS
    from lake.rows import print_wide

    settings = load_settings()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("fault", "what it does", "cannot be done here"):
        table.add_column(heading)
    for fault in FAULTS:
        table.add_row(fault.name, fault.what, fault.cannot(settings))
    print_wide(table)


def _print(report: Report) -> None:
    from lake.rows import print_wide

    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("fault", "times", "whole again after, s: median", "longest"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for name, (times, middle, longest) in report.recovery.items():
        table.add_row(name, str(times), f"{middle:.1f}", f"{longest:.1f}")
    for name, why in report.not_run.items():
        table.add_row(name, "not run", why, "", style="yellow")
    print_wide(table)
    for line in _verdict(report):
        print_wide(Text(line, style="green" if report.right else "bold red"))
    for reason in report.reasons:
        print_wide(Text(reason, style="bold red"))
    if not report.right:
        print_wide(Text(report.again))


def _verdict(report: Report) -> list[str]:
    transactions = f"{report.committed:,} committed, {report.rolled_back:,} rolled back, {report.refused:,} refused"
    events = f"{report.events:,} events: {report.lost} lost, {report.duplicated} duplicated, {report.wrong} wrong"
    return [
        f"seed {report.seed}: transactions {transactions}, {report.unknown:,} of unknown outcome",
        f"{events}; {report.in_gaps:,} in gaps that a status named; {report.differing_rows} differing rows",
        f"{report.quarantined} unreadable records set aside of {report.injected}",
        f"{report.moments} moments of the past, {report.windows:,} windows and {report.files:,} files looked at",
    ]
