"""Commands about batch loads: `quality`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from catalog.settings import load_settings
from lake.app import app

if TYPE_CHECKING:
    from batch.findings import Latest

_MOST_NAMED = 3
"""Intervals that are named where a rule is broken in many."""


@app.command()
def quality(
    failed: Annotated[bool, typer.Option("--failed", help="Only rules that are broken.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show what the rules of the batch tables found last, over all loaded intervals.

    A broken error rule stopped its load: nothing of that interval was published, and the exit code is 1. A broken
    warning is only told. Rules stand beside their tables, in catalog/tables.
    """
    from batch.findings import latest_findings
    from lake.rows import print_wide

    found = [each for each in latest_findings(load_settings()) if not (failed and each.passed)]
    if as_json:
        sys.stdout.write(json.dumps([{**asdict(each), "passed": each.passed} for each in found], indent=2, default=str))
        sys.stdout.write("\n")
    else:
        print_wide(_table(found))
    raise typer.Exit(1 if any(not each.passed and each.severity == "error" for each in found) else 0)


def _table(found: Sequence[Latest]) -> RenderableType:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("table", "rule", "verdict", "intervals", "rows", "breaches", "checked at (UTC)"):
        table.add_column(heading, justify="right" if heading in ("intervals", "rows", "breaches") else "left")
    last = ""
    for each in found:
        table.add_row(
            each.dataset if each.dataset != last else "",
            escape(each.rule),
            _verdict(each),
            f"{each.intervals:,}",
            f"{each.rows:,}",
            f"{each.breaches:,}",
            f"{each.checked_at:%Y-%m-%d %H:%M:%S}",
        )
        last = each.dataset
    samples = [
        Text(f"{each.dataset}, {each.rule}, {each.failed[0]}, such as {json.dumps(each.sample)[:300]}", style="dim")
        for each in found
        if each.failed and each.sample is not None
    ]
    return Group(table, *samples)


def _verdict(each: Latest) -> str:
    if each.passed:
        return "[green]kept[/]"
    more = len(each.failed) - _MOST_NAMED
    named = ", ".join(each.failed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    colour = "bold red" if each.severity == "error" else "yellow"
    return f"[{colour}]{each.severity} in {escape(named)}[/]"
