"""`lake add` and `lake remove`, and what `lake doctor --source` shows: somebody's own Postgres and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from catalog.errors import ConfigurationError
from catalog.options import NAMESPACE, PLAIN, note_options, read_options
from catalog.settings import Settings, load_settings
from catalog.source import named
from lake.app import app
from lake.options import Wishes, as_asked, options_of, wishes
from lake.stack import console

if TYPE_CHECKING:
    from catalog.finding import Finding
    from connectors.survey import Relation, Survey
    from lake.joining import Say

OWN = "own"
Names = Annotated[
    list[str], typer.Argument(help="`table`, `schema.table` or a pattern in quotes, such as 'inventory.*'.")
]
Wait = Annotated[bool, typer.Option(help="Wait until every table streams and is proven equal to Postgres.")]


def examine(settings: Settings, dsn: str, patterns: list[str] | None) -> list[Finding]:
    """Look at a source, `own` or any DSN, for `lake doctor`: all its tables, or those that patterns name."""
    from connectors.findings import findings
    from connectors.survey import matching

    seen = look(settings, None if dsn == OWN else dsn)
    options = read_options(settings) if dsn == OWN else {}
    relations = as_asked(matching(seen.relations, patterns or ["*.*"]), options)
    return findings(seen, relations, settings.publication, wanted=bool(patterns))


def look(settings: Settings, dsn: str | None) -> Survey:
    """Survey a source; its own as the owner of the tables, with the rights of the role that replicates."""
    from connectors.source import REPLICATION_ROLE
    from connectors.survey import survey

    if dsn is not None:
        return survey(dsn, settings.publication, settings.slot)
    return survey(settings.source_dsn("taxi"), settings.publication, settings.slot, REPLICATION_ROLE)


@app.command()
def add(
    tables: Names,
    wait: Wait = True,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="A column that neither Kafka nor the lake gets; of every table that has it."),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=null: it is there and null in every row. COLUMN=hash: it holds pseudonyms."),
    ] = None,
    append_only: Annotated[
        bool, typer.Option("--append-only", help="Tables without a primary key join too, as logs of added rows.")
    ] = False,
    partition: Annotated[
        str, typer.Option(help="How mirrors that have the column are partitioned: 'month(c)', 'bucket(16, c)' or c.")
    ] = "",
    namespace: Annotated[str, typer.Option(help="The Iceberg namespace of mirrors and changelogs.")] = NAMESPACE,
) -> None:
    """Let tables of the source join while everything runs: publication, connector, topic and lake.

    Rows that are there are copied, nothing that is written meanwhile is lost, and the other tables go on. A pattern
    takes what can be mirrored and names what cannot, with the SQL that mends it (exit code 1). Adding again is
    harmless. A pseudonym is a hash of a text and of a secret key: the same text has the same one in every table. An
    update or a delete of a table that joined with --append-only stops it, loudly; a truncate empties it.

    lake add inventory.items        lake add 'inventory.*' customers --exclude notes --mask email=null
    """
    from lake.joining import join, wait_running

    settings = load_settings()
    wished = wishes(exclude or [], mask or [], append_only=append_only, partition=partition, namespace=namespace)
    chosen, refused = _chosen(settings, tables, wished)
    _show(refused)
    if not chosen:
        raise typer.Exit(1)
    with _progress() as say:
        joined = join(settings, chosen, say)
        names = sorted(relation.qualified for relation in chosen)
        stopped = wait_running(settings, names, say) if wait else {}
    for name, reason in stopped.items():
        console.print(Text(f"✗ {name} stopped: {reason}", style="red"))
    for name in (name for name in names if name not in stopped):
        there = "joins" if name in joined else "was there already"
        console.print(f"[green]✓[/] [bold]{name}[/] {there}" + ("" if wait else "; `lake status` shows how far"))
    equal = _proven(settings, [name for name in names if name not in stopped]) if wait else True
    if refused or stopped or not equal:
        raise typer.Exit(1)


@app.command()
def remove(
    tables: Names,
    drop: Annotated[
        bool, typer.Option("--drop", help="Also delete their mirrors and changelogs from the lake.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False,
) -> None:
    """Take tables out of publication, connector, Kafka and stream while everything runs.

    Their mirrors and changelogs stay in the lake as they are at the last change, unless `--drop` is given. The source
    keeps its tables and their replica identity. A table that comes back by `lake add` is copied anew.
    """
    from catalog.removal import drop_from_lake
    from lake import joining

    settings = load_settings()
    chosen = _captured(settings, tables, and_left=drop)
    names = ", ".join(f"{schema}.{name}" for schema, name in chosen)
    if drop and not yes:
        typer.confirm(f"Delete mirrors and changelogs of {names} from the lake?", abort=True)
    with _progress() as say:
        joining.leave(settings, chosen, say)
    for schema, name in chosen:
        gone = drop_from_lake(settings, named(read_options(settings), schema, name)) if drop else []
        if drop:
            note_options(settings, f"{schema}.{name}", PLAIN)
        kept = f"deleted {' and '.join(gone)}" if drop else "its mirror and changelog stay in the lake"
        console.print(f"[green]✓[/] [bold]{schema}.{name}[/] left; {kept}")


def _chosen(settings: Settings, patterns: list[str], wished: Wishes) -> tuple[list[Relation], list[Finding]]:
    """The tables that can join, and why others cannot; their options are noted.

    Raises ConfigurationError where a pattern names nothing, or a wish cannot be granted.
    """
    from connectors.suitability import clashes, not_a_table, obstacles
    from connectors.survey import matching

    seen = look(settings, None)
    options = options_of(settings, matching(seen.relations, patterns), wished)
    seen = replace(seen, relations=as_asked(seen.relations, options))
    by_name = matching(seen.relations, [pattern for pattern in patterns if "*" not in pattern])
    for pattern in patterns:
        if not matching(seen.relations, [pattern]):
            remedy = "lake doctor --source own lists every table"
            raise ConfigurationError(f"{settings.source_database} has no table {pattern}", remedy=remedy)
    clashing = clashes([relation for relation in seen.relations if not not_a_table(relation)])
    chosen, refused = [], []
    for relation in matching(seen.relations, patterns):
        problems = list(obstacles(relation, clashing, seen.server.role))
        if not problems:
            note_options(settings, relation.qualified, options[relation.qualified])
            chosen.append(relation)
        elif relation in by_name or not not_a_table(relation):
            refused += problems
    return chosen, refused


def _captured(settings: Settings, patterns: list[str], *, and_left: bool) -> list[tuple[str, str]]:
    """Schema and name of each table that joined that the patterns name; also of those that left already."""
    from fnmatch import fnmatchcase

    from connectors.registration import captured_tables
    from connectors.source import published_tables, wanted_tables
    from lake.joining import left_tables
    from streaming.requests import draining

    known = captured_tables(settings) | {f"{schema}.{name}" for schema, name in published_tables(settings)}
    known |= draining(settings) | (left_tables(settings) if and_left else set())
    always = wanted_tables(settings)
    known -= {f"public.{name}" for name in always}
    chosen: set[str] = set()
    for pattern in patterns:
        qualified = pattern if "." in pattern else f"public.{pattern}"
        found = {name for name in known if fnmatchcase(name, qualified)}
        if not found:
            remedy = f"joined are {', '.join(sorted(known)) or 'none'}; {', '.join(always)} stay"
            raise ConfigurationError(f"no joined table is named {pattern}", remedy=remedy)
        chosen |= found
    return [(schema, name) for schema, _, name in (each.partition(".") for each in sorted(chosen))]


def _proven(settings: Settings, tables: list[str]) -> bool:
    """Compare tables with Postgres, and show the outcome."""
    from catalog.verification import verify
    from lake.rows import VerificationProgress, print_wide, verification_tables

    if not tables:
        return False
    with VerificationProgress(Console(stderr=True)) as progress:
        report = verify(settings, tables, progress=progress.report)
    print_wide(verification_tables(report))
    return report.exit_code == 0


def _show(refused: list[Finding]) -> None:
    from lake.stack_view import render_checks

    if refused:
        console.print(render_checks(refused))


@contextmanager
def _progress() -> Iterator[Say]:
    """A line that changes on a terminal, lines elsewhere."""
    with console.status("looking at the source") as status:
        said = ""

        def say(what: str) -> None:
            nonlocal said
            status.update(what)
            if not console.is_terminal and what != said:
                console.print(what, highlight=False)
            said = what

        yield say
