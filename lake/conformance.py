"""`lake conformance`: the situations that change data capture gets wrong, played on the running stack."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catalog.errors import ConfigurationError
from catalog.settings import load_settings
from lake.app import app

if TYPE_CHECKING:
    from conformance.run import Finding
    from conformance.sabotage import Caught
    from conformance.situation import Situation


@app.command()
def conformance(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only situations, or bugs, whose name has one of these words.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="The slow ones too: rows of 12 MB, large transactions.")] = False,
    sabotage: Annotated[
        bool, typer.Option("--sabotage", help="Plant bugs in the stream instead: each must be noticed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Play every situation on the running stack and compare what the lake holds with what it must hold.

    Each has a table of its own in a schema of its own, which are gone afterwards. What is expected is written down with
    the situation; DuckDB reads what the stream wrote, and `lake verify` compares it with Postgres. Exit code 1 when
    anything is not as expected.

    With --sabotage the checks are checked: bugs are planted in the streaming job for one table, and one for the
    real-time tables, which are made anew afterwards. Each must be noticed, and gone after a resync.
    """
    if sabotage:
        raise typer.Exit(_sabotage(names or [], as_json))
    from conformance.run import run

    chosen = _chosen(names or [], all_)
    with Console(stderr=True).status("") as status:
        found = run(load_settings(), chosen, lambda what: status.update(f"{len(chosen)} situations: {what}"))
    if as_json:
        sys.stdout.write(json.dumps([each.as_json() for each in found], indent=1, default=str) + "\n")
    else:
        _print(found)
    raise typer.Exit(1 if any(each.wrong for each in found) else 0)


def _sabotage(words: Sequence[str], as_json: bool) -> int:
    """The exit code."""
    from conformance.bugs import BUGS
    from conformance.sabotage import run

    bugs = [bug for bug in BUGS if not words or any(word.lower() in bug.name for word in words)]
    if not bugs:
        raise ConfigurationError(
            f"no bug has {', '.join(words)} in its name", remedy=", ".join(bug.name for bug in BUGS)
        )
    with Console(stderr=True).status("") as status:
        found = run(load_settings(), bugs, lambda what: status.update(what))
    if as_json:
        sys.stdout.write(json.dumps([each.as_json() for each in found], indent=1) + "\n")
    else:
        _print_caught(found)
    return 0 if all(each.right for each in found) else 1


def _print_caught(found: Sequence[Caught]) -> None:
    from lake.rows import print_wide

    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("planted", "noticed by", "taken out and resynced"):
        table.add_column(heading)
    for each in found:
        style = "green" if each.right else "bold red"
        table.add_row(each.bug, Text(each.noticed or "nothing", style=style), each.afterwards or "equal")
    print_wide(table)
    planted = [each for each in found if each.bug != "none"]
    print_wide(Text(f"{sum(bool(each.noticed) for each in planted)} of {len(planted)} planted bugs were noticed"))


def _chosen(words: Sequence[str], slow: bool) -> list[Situation]:
    from conformance.situations import SITUATIONS

    if words:
        chosen = [each for each in SITUATIONS if any(word.lower() in each.name.lower() for word in words)]
    else:
        chosen = [each for each in SITUATIONS if slow or not each.slow]
    if not chosen:
        raise ConfigurationError(
            f"no situation has {', '.join(words)} in its name", remedy=", ".join(each.name for each in SITUATIONS)
        )
    return chosen


def _print(found: Sequence[Finding]) -> None:
    from lake.rows import print_wide

    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("situation", "expected", "found", "verdict"):
        table.add_column(heading)
    for each in found:
        verdict = Text("as expected", style="green") if not each.wrong else Text(each.wrong, style="bold red")
        table.add_row(each.name, each.expected, each.found, verdict)
    print_wide(table)
    right = sum(not each.wrong for each in found)
    print_wide(Text(f"{right} of {len(found)} situations are as expected"))
