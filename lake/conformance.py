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
    from conformance.situation import Situation


@app.command()
def conformance(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only situations whose name has one of these words.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="The slow ones too: rows of 12 MB, large transactions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Play every situation on the running stack and compare what the lake holds with what it must hold.

    Each has a table of its own in a schema of its own, which are gone afterwards. What is expected is written down with
    the situation; DuckDB reads what the stream wrote, and `lake verify` compares it with Postgres. Exit code 1 when
    anything is not as expected.
    """
    from conformance.run import run

    chosen = _chosen(names or [], all_)
    with Console(stderr=True).status("") as status:
        found = run(load_settings(), chosen, lambda what: status.update(f"{len(chosen)} situations: {what}"))
    if as_json:
        sys.stdout.write(json.dumps([each.as_json() for each in found], indent=1, default=str) + "\n")
    else:
        _print(found)
    raise typer.Exit(1 if any(each.wrong for each in found) else 0)


def _chosen(words: Sequence[str], slow: bool) -> list[Situation]:
    from conformance.situations import SITUATIONS

    if words:
        chosen = [each for each in SITUATIONS if any(word.lower() in each.name for word in words)]
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
