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
    from conformance.chaos import Report


@app.command()
def chaos(
    seed: Annotated[int | None, typer.Option(help="Of transactions and faults; a new one by default.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="So long it writes and breaks.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Kill and stop every process of the running stack in turn while a seed's transactions are committed.

    Two tables of its own get inserts, updates, deletes, key changes, hot keys, truncates, rollbacks and new columns.
    Afterwards mirrors must equal Postgres, and each changelog what `test_decoding` read from the WAL on a slot of its
    own: every event once and in order. The same seed gives the same transactions and the same faults. Exit code 1 when
    anything was lost, duplicated or wrong.
    """
    from conformance.chaos import run

    chosen = random.randrange(1_000_000) if seed is None else seed
    with Console(stderr=True).status("") as status:
        report = run(load_settings(), chosen, minutes, lambda what: status.update(f"seed {chosen}: {what}"))
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=1) + "\n")
    else:
        _print(report)
    raise typer.Exit(0 if report.right else 1)


def _print(report: Report) -> None:
    from lake.rows import print_wide

    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("fault", "after transactions", "stood still, s", "healthy again after, s"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for each in report.faults:
        kind = "stopped" if each["seconds"] else "killed"
        still = f"{each['seconds']:.0f}" if each["seconds"] else ""
        table.add_row(f"{each['component']} {kind}", f"{each['after']:,}", still, f"{each['recovery_seconds']:.1f}")
    print_wide(table)
    transactions = f"{report.committed:,} committed, {report.rolled_back:,} rolled back, {report.refused:,} refused"
    print_wide(Text(f"seed {report.seed}: transactions {transactions}, {report.unknown:,} of unknown outcome"))
    verdict = f"{report.events:,} events: {report.lost} lost, {report.duplicated} duplicated, {report.wrong} wrong; "
    verdict += f"{report.differing_rows} differing rows"
    print_wide(Text(verdict, style="green" if report.right else "bold red"))
    for reason in report.reasons:
        print_wide(Text(reason, style="bold red"))
    if not report.right:
        print_wide(Text(str(report.as_json()["again"])))
