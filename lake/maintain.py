"""`lake maintain`: data files, manifests, snapshots and orphans of the lake's tables, tidied up at any time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from catalog.errors import ConfigurationError
from catalog.settings import load_settings
from lake.app import app
from lake.stack import Json, print_json

if TYPE_CHECKING:
    from catalog.maintenance import Upkeep

MEMORY = "1g"


@app.command()
def maintain(
    tables: Annotated[
        list[str] | None, typer.Argument(help="trips, taxi_cdc.trips_cdc, nyc_taxi.trips; all of the lake by default.")
    ] = None,
    orphan_days: Annotated[
        float, typer.Option(min=1, help="Files that no snapshot knows go when they are older than so many days.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Compact tables while everything runs: small files and deleted rows, manifests, old snapshots, orphans.

    No row changes, and what is still kept of the past reads as before. Files that the stream changes meanwhile are left
    to it; it merges its small files and thins its snapshots out by itself. A night's cron job is a good place. Exit
    code 1 when something of a table was refused.

    lake maintain        lake maintain trips nyc_taxi.trips --orphan-days 7
    """
    from catalog.history import all_tables, lake_name
    from catalog.maintenance import maintain as tidied
    from catalog.readers import iceberg_catalog
    from catalog.session import spark_session

    settings = load_settings()
    catalog = iceberg_catalog(settings)
    known = all_tables(catalog)
    chosen = [lake_name(name) for name in tables or known]
    if unknown := [name for name in chosen if name not in known]:
        raise ConfigurationError(f"the lake has no {', '.join(unknown)}", remedy=f"one of {', '.join(known)}")
    done = []
    with Console(stderr=True).status("starting Spark") as status:
        spark = spark_session(settings, "maintenance", driver_memory=MEMORY)
        for number, upkeep in enumerate(tidied(spark, catalog, chosen, timedelta(days=orphan_days)), 1):
            done.append(upkeep)
            status.update(f"{number} of {len(chosen)} tables")
    if as_json:
        print_json([asdict(upkeep) for upkeep in done])
    else:
        _show(done)
    raise typer.Exit(int(any(each.refused for each in done)))


def _show(done: Iterable[Upkeep]) -> None:
    from lake.rows import print_wide

    shown = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("table", "files", "MB", "manifests", "snapshots", "orphans", ""):
        shown.add_column(heading, justify="left" if heading in ("table", "") else "right")
    for each in done:
        counts = (each.files, round(each.bytes / 1e6, 1), each.manifests, each.snapshots, each.orphans)
        shown.add_row(each.table, *map(str, counts), f"[red]{escape(each.refused)}" if each.refused else "")
    print_wide(shown)
