"""Commands about what was: `history` of a table or of one row, `diff` of two points, `rollback` to one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from catalog.settings import Settings, load_settings
from lake.app import app

TableName = Annotated[str, typer.Argument(help="trips, public.trips or taxi_cdc.trips")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
POINT = "now, a snapshot's id, time:-5m, time:2026-01-31T12:00:00Z or lsn:0/1A2B3C"


@app.command()
def history(
    table: TableName,
    key: Annotated[
        list[str] | None,
        typer.Option(help="One row's life instead: its key, `name=value` for each column of a key of several."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many snapshots, or events of the row: the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """List a table's snapshots: when, how far in the source (offset, LSN), rows added and deleted.

    With --key all that happened to one row: time of commit, LSN, transaction and what changed, also before and after a
    change of its key.

    lake history trips --key 42
    """
    settings = load_settings()
    if key:
        _life(settings, table, key, limit, as_json)
    else:
        _snapshots(settings, table, limit, as_json)


def _snapshots(settings: Settings, table: str, limit: int, as_json: bool) -> None:
    from catalog.history import load_table, table_history
    from catalog.readers import iceberg_catalog
    from lake.rows import history_table, print_wide

    loaded = load_table(iceberg_catalog(settings), table)
    entries = table_history(loaded, limit)
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries], indent=2))  # noqa: T201
        return
    print_wide(history_table(".".join(loaded.name()), entries))


def _life(settings: Settings, table: str, key: Sequence[str], limit: int, as_json: bool) -> None:
    from catalog.errors import HistoryError
    from catalog.history import load_table
    from catalog.readers import duckdb_connection, iceberg_catalog
    from catalog.row_life import parse_key, row_life
    from catalog.versions import versions_of
    from lake.points import life_table
    from lake.rows import print_wide

    loaded = load_table(iceberg_catalog(settings), table)
    versions, name = versions_of(loaded), ".".join(loaded.name())
    if versions is None:
        raise HistoryError(
            f"no key tells the rows of {name} apart by source and changelog", remedy=f"lake diff {name} …"
        )
    with duckdb_connection(settings) as reader:
        events = row_life(reader, versions, parse_key(versions.key, key))
    if as_json:
        print(json.dumps([event.as_json() for event in events[-limit:]], indent=2))  # noqa: T201
    elif not events:
        raise HistoryError(
            f"{name} never had a row with the key {' '.join(key)}", remedy="is it written as it is held?"
        )
    else:
        print_wide(life_table(f"{name} {' '.join(key)}", events[-limit:], len(events)))


@app.command()
def diff(
    table: TableName,
    a: Annotated[str, typer.Argument(metavar="A", help=POINT)],
    b: Annotated[str, typer.Argument(metavar="B", help=POINT)] = "now",
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show, by key; all are counted.")] = 20,
    as_json: Json = False,
) -> None:
    """Compare two points of a table: rows added, removed and changed, cell by cell.

    lake diff trips time:-10m
    """
    from catalog.difference import table_difference
    from catalog.readers import duckdb_connection, iceberg_catalog
    from catalog.time_travel import parse_point
    from lake.points import difference_table
    from lake.rows import print_wide

    settings = load_settings()
    points = (parse_point(a), parse_point(b))
    with duckdb_connection(settings) as reader:
        found = table_difference(iceberg_catalog(settings), reader, table, points, limit)
    if as_json:
        print(json.dumps(found.as_json(), indent=2))  # noqa: T201
        return
    print_wide(difference_table(found))


@app.command()
def rollback(
    table: TableName,
    point: Annotated[str, typer.Argument(help="a snapshot's id, time:-5m, time:2026-01-31T12:00:00Z or lsn:0/1A2B3C")],
    wait: Annotated[bool, typer.Option(help="Wait until the stream has done it.")] = True,
) -> None:
    """Set a table back to the snapshot that it had at a point.

    A mirror follows its source, so the stream does it: the mirror gets the snapshot and its position, and what came
    since is replayed from Kafka, so that it ends equal to Postgres again whatever was done to it. Use it where a mirror
    was damaged; where Kafka has lost the changes, `lake resync`. Any other table simply shows the snapshot from then
    on, and the loads that wrote the later ones are to be repeated by name.
    """
    from catalog.history import load_table
    from catalog.readers import iceberg_catalog
    from catalog.rollback import require_batch_table, snapshot_to_keep
    from catalog.source import SourceTable
    from catalog.tables.cdc import SOURCE_PROPERTY
    from lake.changes import ask, console
    from streaming.requests import Request

    settings = load_settings()
    loaded = load_table(iceberg_catalog(settings), table)
    snapshot = snapshot_to_keep(loaded, point)
    saved = loaded.properties.get(SOURCE_PROPERTY)
    if saved is None:
        require_batch_table(loaded)
        loaded.manage_snapshots().rollback_to_snapshot(snapshot).commit()
        console.print(f"[green]✓[/] {'.'.join(loaded.name())} shows snapshot {snapshot}")
        return
    name = SourceTable.from_json(saved).qualified
    answer = ask(settings, Request("rollback", name, snapshot), wait)
    if answer is not None:
        told = f"{answer['offsets']:,} offsets are replayed; `lake verify {name}` proves the mirror equal"
        console.print(f"[green]✓[/] {name} was set back to snapshot {snapshot}; {told}", highlight=False)
