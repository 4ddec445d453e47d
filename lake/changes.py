"""`lake resync` and `lake quarantine`: what people ask of the running stream."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import Settings, load_settings
from lake.app import app

console = Console()
quarantine = typer.Typer(no_args_is_help=True, help="Records that could not be read, kept with their reason.")
app.add_typer(quarantine, name="quarantine")

TableName = Annotated[str, typer.Argument(help="The source table, `trips` or `schema.table`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
_POLL_SECONDS = 0.5
_NO_SIGN_SECONDS = 60.0


@app.command()
def resync(table: TableName, wait: Annotated[bool, typer.Option(help="Wait until the table is whole.")] = True) -> None:
    """Rebuild one mirror from Postgres beside the live one and swap it in; the other tables go on.

    The old generation stays readable by time travel. Needed after lost records, a retyped column or a rollback.
    """
    from streaming.requests import Request

    settings = load_settings()
    name = source_name(table)
    answer = ask(settings, Request("resync", name), wait)
    if answer is not None:
        console.print(f"[green]✓[/] {name} rebuilt from {answer['rows']:,} rows; `lake verify {name}` proves it")


@quarantine.command("list")
def list_records(
    table: Annotated[str | None, typer.Argument(help="Only of this source table.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Newest records first, at most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show quarantined records: where each stands in Kafka, why it was set aside, and the start of its bytes."""
    from catalog.readers import duckdb_connection
    from catalog.settings import CATALOG
    from catalog.tables.cdc import QUARANTINE

    settings = load_settings()
    records = duckdb_connection(settings).table(f"{CATALOG}.{QUARANTINE}")
    if table:
        records = records.filter(f"topic = '{_topic(settings, table)}'")
    records = (
        records.order('"at" desc, topic, topic_offset desc')
        .limit(limit)
        .project(
            'topic, topic_partition, topic_offset, reason, strftime("at", \'%Y-%m-%d %H:%M:%S\') as "at",'
            " decode(key, 'replace') as key, decode(value, 'replace')[:200] as value"
        )
    )
    rows = records.to_arrow_table().to_pylist()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = Table("topic", "offset", "reason", "at (UTC)", "key", "value")
    for row in rows:
        shown.add_row(*(str(row[name]) for name in ("topic", "topic_offset", "reason", "at", "key", "value")))
    console.print(shown if rows else "the quarantine is empty")


@quarantine.command("replay")
def replay_records(table: TableName) -> None:
    """Read a table's quarantined records again, after what kept them out was mended.

    A record is applied only if no later event of its key exists; otherwise it is superseded and only the changelog gets
    it. What still cannot be read stays.
    """
    from streaming.requests import Request

    answer = ask(load_settings(), Request("replay", source_name(table)), wait=True)
    if answer is not None:
        console.print("{applied} applied, {superseded} superseded, {remaining} remaining".format(**answer))


def source_name(table: str) -> str:
    """`schema.table` in the source of what people write."""
    name = table.removeprefix("taxi_cdc.").replace("__", ".")
    return name if "." in name else f"public.{name}"


def _topic(settings: Settings, table: str) -> str:
    return f"{settings.topic_prefix}.{source_name(table).removeprefix('public.')}".replace("'", "''")


def ask(settings: Settings, request: Any, wait: bool) -> dict[str, Any] | None:
    """Leave a request for the stream, and wait for its answer if wanted. Raises ComponentError, ConfigurationError."""
    from streaming.requests import answer, submit

    submit(settings, request)
    if not wait:
        console.print("asked; `lake status` shows how it goes on")
        return None
    seen, asked = "", time.monotonic()
    with console.status(f"{request.kind} of {request.table}: waiting for the streaming job") as status:
        while (found := answer(settings, request)) is None or not (
            "error" in found or _is_settled(settings, request.table)
        ):
            seen = _state(settings, request.table) or seen
            status.update(f"{request.kind} of {request.table}: {seen or 'waiting for the streaming job'}")
            if not seen and time.monotonic() - asked > _NO_SIGN_SECONDS:
                raise ComponentError(
                    f"the streaming job gives no sign for {request.table}", remedy="lake status; lake logs stream"
                )
            time.sleep(_POLL_SECONDS)
    if "error" in found:
        raise ConfigurationError(str(found["error"]), remedy="lake status; lake logs stream")
    return found


def _tables(settings: Settings) -> dict[str, Any]:
    path = settings.state_dir / "stream.json"
    tables: dict[str, Any] = json.loads(path.read_text())["tables"] if path.exists() else {}
    return tables


def _is_settled(settings: Settings, table: str) -> bool:
    """Neither being copied nor between two runs of the query, where no state is told."""
    return _tables(settings).get(table, {}).get("state") in ("running", "stopped")


def _state(settings: Settings, table: str) -> str:
    found = _tables(settings).get(table, {})
    return str(found.get("reason") or found.get("state") or "")
