"""`lake keys` and `lake api`: who may use the API, and the API itself."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from catalog.errors import ConfigurationError
from catalog.settings import load_settings
from lake.app import app
from lake.stack import print_json

if TYPE_CHECKING:
    from serving.api.keys import Key, Scope

keys = typer.Typer(no_args_is_help=True, help="API keys: make, list and revoke them. Only hashes are kept.")
app.add_typer(keys, name="keys")
console = Console()
_LIFE = re.compile(r"(\d{1,5})([hd])")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as dashboard.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="analytics, tables or operations; may be given several times.")
    ] = None,
    expires: Annotated[str, typer.Option(help="Life of the key, such as 12h or 90d, or never.")] = "90d",
) -> None:
    """Make a key and print it, this once; it reads what its scopes reach, by default everything.

    [bold]LAKE_API_KEY=$(lake keys create notebook --scope analytics)[/]  for the Python client
    """
    from serving.api.keys import Keys

    made, secret = Keys(load_settings().state_dir).create(name, _scopes(scope), _end(expires))
    sys.stdout.write(f"{secret}\n")
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "without an end"
    reach = ", ".join(sorted(made.scopes))
    Console(stderr=True).print(f"key {made.id} for {name}: {reach}, {until}", markup=False, highlight=False)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `lake keys list` shows it.")]) -> None:
    """End a key at once."""
    from serving.api.keys import Keys

    ended = Keys(load_settings().state_dir).revoke(key_id)
    console.print(f"key {ended.id} for {ended.name} is revoked", markup=False, highlight=False)


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """Show every key without its secret."""
    from serving.api.keys import Keys

    found = Keys(load_settings().state_dir).listed()
    if as_json:
        print_json([_row(key) for key in found])
        return
    table = Table("id", "name", "scopes", "made", "ends", "state", box=None, header_style="bold")
    for key in found:
        row = _row(key)
        ends = row["expires_at"] or "never"
        table.add_row(key.id, key.name, ", ".join(row["scopes"]), row["created_at"][:16], ends[:16], row["state"])
    console.print(table)


@app.command()
def api(
    openapi: Annotated[bool, typer.Option("--openapi", help="Print the OpenAPI document and end.")] = False,
) -> None:
    """Serve the HTTP API until Ctrl-C; its documentation is at /docs. The stack must run: `lake up`."""
    from serving.api.__main__ import serve
    from serving.api.app import create_app

    settings = load_settings()
    if openapi:
        print_json(create_app(settings).openapi())
        return
    console.print(f"API  {settings.api}  documentation {settings.api}/docs", highlight=False)
    serve(settings)


def _scopes(names: list[str] | None) -> frozenset[Scope]:
    from serving.api.keys import Scope

    unknown = sorted(set(names or ()) - set(Scope))
    if unknown:
        raise ConfigurationError(f"there is no scope {unknown[0]}", remedy=f"choose from: {', '.join(Scope)}")
    return frozenset(Scope(name) for name in names) if names else frozenset(Scope)


def _end(life: str) -> datetime | None:
    if life == "never":
        return None
    match = _LIFE.fullmatch(life)
    if match is None:
        raise ConfigurationError(f"{life!r} is no length of time", remedy="write 12h, 90d or never")
    return datetime.now(UTC) + timedelta(**{{"h": "hours", "d": "days"}[match[2]]: int(match[1])})


def _row(key: Key) -> dict[str, Any]:
    state = "revoked" if key.revoked_at else "valid" if key.is_valid(datetime.now(UTC)) else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "state": state,
    }
