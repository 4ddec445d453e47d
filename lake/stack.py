"""`lake up`, `down`, `status`, `doctor` and `logs`: the embedded stack from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from catalog.java import TRINO, find_java
from catalog.settings import PROJECT, load_settings
from lake.app import app

if TYPE_CHECKING:
    from stack.control import Steps

# a file or a pipe is no reason to cut lines
console = Console(width=None if sys.stdout.isatty() else 160)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
With = Annotated[
    list[str] | None,
    typer.Option("--with", help="Add this group: airflow, metrics, serving, trino. May be given several times."),
]
Without = Annotated[list[str] | None, typer.Option(help="Leave this component out; may be given several times.")]


def steps() -> Steps:
    """What is set up once a component answers: the source's schema, the topics of its tables, the connector."""
    # the stack knows no tables: here, above both, it meets the connectors
    from connectors.setup import ensure_source
    from connectors.topics import ensure_topics
    from lake.joining import connect

    return {"postgres": ensure_source, "kafka": ensure_topics, "connect": connect}


@app.command()
def up(without: Without = None, groups: With = None) -> None:
    """Start the stack, or what of it does not run, and wait until every component answers a real request.

    The first start downloads what is missing and creates databases, topics and the connector. Running it again is
    harmless, and heals after a crash. A group that was added before goes on running.
    """
    from lake.stack_view import Progress, render_addresses, render_login
    from stack import airflow, control
    from stack.components import chosen

    settings, left_out, added = load_settings(), tuple(without or ()), tuple(groups or ())
    components = chosen(without=left_out, groups=added)
    first_airflow = "airflow" in added and airflow.is_new(settings)
    install(added)
    with Progress([each.name for each in components], console) as progress:
        control.up(settings, without=left_out, groups=added, then=steps(), report=progress.report)
    console.print(render_addresses(settings, components))
    if first_airflow:
        console.print(render_login(settings))


def install(groups: tuple[str, ...]) -> None:
    """Bring what is not here yet: the Java files, and for groups Trino's, Airflow's environment and Prometheus."""
    from stack import commands, jars

    settings, wanted = load_settings(), [jars.Jars()]
    if "trino" in groups and settings.trino_url is None:
        find_java(settings, TRINO)  # nobody waits for its files who cannot run them
        wanted.append(jars.TRINO)
    for each in wanted:
        if jars.problems(each):
            subprocess.run([PROJECT / "scripts" / "download_jars.sh", *each.name.split()], check=True)
    parts: list[str] = [group for group in ("airflow", "metrics") if group in groups]
    if settings.object_store == "minio" and settings.s3_endpoint is None and not commands.store_is_here(settings):
        parts.append("minio")
    if parts:
        subprocess.run([PROJECT / "scripts" / "setup", "--quiet", *parts], check=True)


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Also delete the state folder: all tables and data.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False,
) -> None:
    """Stop the stack in order and leave nothing running; data stays unless `--purge` is given."""
    from lake.stack_view import Progress
    from stack import control
    from stack.components import COMPONENTS

    settings = load_settings()
    if purge and not yes:
        typer.confirm(f"Delete {settings.state_dir} with all its tables?", abort=True)
    with Progress([component.name for component in reversed(COMPONENTS)], console) as progress:
        ended = control.down(settings, report=progress.report)
    for process in ended:
        console.print(f"ended a process that was left behind: {process}")
    if purge and settings.state_dir.exists():
        shutil.rmtree(settings.state_dir)
    console.print("nothing is running" + (f"; {settings.state_dir} is deleted" if purge else ""))


@app.command()
def status(as_json: Json = False) -> None:
    """Show every component and every table. Exit code 1 when something is not well."""
    from catalog.verified import kept
    from connectors.registration import failure
    from lake.stack_view import read_stream, render_components, render_logins, render_tables, render_verified
    from stack import control

    settings = load_settings()
    components, stream, verified = control.states(settings), read_stream(settings), kept(settings.state_dir)
    is_asked = any(state.name == "connect" and state.healthy for state in components)
    failed = failure(settings) if is_asked else None
    if as_json:
        described = [asdict(state) for state in components]
        told = str(failed) if failed else None
        print_json({"components": described, "connector": told, "stream": stream, "verified": verified})
    else:
        console.print(render_components(components))
        if failed:
            console.print(str(failed), style="bold red", markup=False, highlight=False)
        console.print(render_logins(settings, [state.name for state in components if state.pid]))
        console.print(render_tables(stream))
        console.print(render_verified(verified, datetime.now(UTC)))
    stopped = [name for name, table in (stream or {}).get("tables", {}).items() if table.get("state") == "stopped"]
    if stopped or failed or not all(state.healthy for state in components):
        raise typer.Exit(1)


@app.command()
def doctor(
    as_json: Json = False,
    list_settings: Annotated[bool, typer.Option("--settings", help="List every setting with its value.")] = False,
    groups: With = None,
    source: Annotated[
        str | None, typer.Option(help="Look at this Postgres instead, a DSN or URL; `own` is the one of the settings.")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="With --source: only this table, or pattern such as 'sales.*'.")
    ] = None,
) -> None:
    """Check Java, Postgres, ports, disk, memory and jars, and say how to mend each. Exit code 1 on a failure.

    With `--source`, anybody's Postgres: server, role, tables and their size, the SQL that mends each; it only reads.
    """
    from lake.source import examine
    from lake.stack_view import render_checks, render_settings, settings_rows
    from stack import preflight
    from stack.components import CORE, chosen
    from stack.states import in_use

    settings = load_settings()
    if list_settings:
        if as_json:
            print_json(settings_rows(settings))
        else:
            console.print(render_settings(settings))
        return
    running = tuple(group for group in in_use(settings) if group != CORE)
    if source is not None:
        checks = examine(settings, source, tables)
    else:
        checks = preflight.run(settings, chosen(groups=(*running, *(groups or ()))))
    if as_json:
        print_json([check.as_dict() for check in checks])
    else:
        console.print(render_checks(checks))
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[
        str | None, typer.Argument(help="A component, or `supervisor`; all components when absent.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as lines are written; end with Ctrl-C.")
    ] = False,
) -> None:
    """Print the end of a component's log, or of all, with the component's name before each line."""
    from lake.log_reader import follow_logs, last_lines, log_paths

    paths = log_paths(load_settings(), name)
    width = max(len(path.stem) for path in paths)
    for path in paths:
        for line in last_lines(path, lines):
            sys.stdout.write(line if name else f"{path.stem:{width}} {line}")
    sys.stdout.flush()
    if follow:
        follow_logs(paths, sys.stdout, with_names=name is None)


def print_json(value: object) -> None:
    """Print a value as JSON on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
