"""Rows, histories and verifications as they look in a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from catalog.history import HistoryEntry, lsn_text
from catalog.verification.comparison import shown

if TYPE_CHECKING:
    import pyarrow as pa

    from catalog.verification import TableReport, VerificationReport

MOST_ROWS = 1000
"""Rows that a terminal table shows; the other formats print all."""


def print_rows(rows: pa.Table, output: str) -> None:
    """Print rows as `table`, `csv` or `json` (a list of objects); null is empty, empty text is quoted."""
    if output == "json":
        json.dump(_plain(rows), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif output == "csv":
        sys.stdout.write(",".join(_csv_field(name) for name in rows.column_names) + "\n")
        sys.stdout.writelines(",".join(map(_csv_field, row.values())) + "\n" for row in _plain(rows))
    else:
        print_wide(_row_table(rows))


def print_wide(content: RenderableType) -> None:
    """Print a table as wide as it is: a narrow terminal wraps its lines instead of cutting its values."""
    console = Console()
    needed = console.measure(content, options=console.options.update(width=10_000, max_width=10_000)).maximum
    Console(width=max(console.width, needed)).print(content)


def history_table(name: str, entries: Iterable[HistoryEntry]) -> RenderableType:
    """A table's snapshots, the current one marked."""
    table = Table(title=name, title_justify="left", box=None, header_style="dim", pad_edge=False)
    headings = ("", "snapshot", "committed at (UTC)", "operation", "offset", "LSN", "added", "deleted", "rows")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("offset", "added", "deleted", "rows") else "left")
    for entry in entries:
        table.add_row(
            "→" if entry.is_current else "",
            str(entry.snapshot_id),
            f"{entry.committed_at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
            entry.operation,
            ", ".join(f"{offset:,}" for offset in entry.next_offsets.values()),
            "" if entry.lsn is None else f"{lsn_text(entry.lsn)} ({entry.lsn})",
            f"{entry.rows_added:,}",
            f"{entry.rows_deleted:,}",
            f"{entry.rows_total:,}",
            style="bold" if entry.is_current else "",
        )
    return table


def verification_tables(report: VerificationReport) -> RenderableType:
    """The verdict on each table, then what differs."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("table", "verdict", "rows compared", "differing", "changelog", "events", "seconds"):
        table.add_column(heading, justify="left" if heading in ("table", "verdict", "changelog") else "right")
    for each in report.tables:
        table.add_row(
            each.table,
            _verdict(each),
            f"{each.rows_compared:,}",
            f"{each.differing_rows:,}",
            "" if each.snapshot_id is None else _changelog_verdict(each),
            f"{each.changelog_events:,}",
            f"{each.seconds:.1f}",
        )
    notes = [line for each in report.tables for line in _notes(each)]
    verdict = "[green]every table is equal[/]" if report.equal else "[bold red]not every table is equal[/]"
    end = Text.from_markup(f"{verdict} at LSN {lsn_text(report.lsn)}, {report.seconds:.1f} s in all")
    return Group(table, *notes, Text(""), end)


def verification_line(report: VerificationReport) -> RenderableType:
    """A report of equal tables, a line for each."""
    found = [f"{each.table} equal, {each.rows_compared:,} rows, {each.seconds:.1f} s" for each in report.tables]
    return Text("\n".join(f"{line}, as of LSN {lsn_text(report.lsn)}" for line in found), style="green")


class VerificationProgress:
    """One line that says what is being waited for or compared; silent where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True)

    def __enter__(self) -> VerificationProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def report(self, phase: str, table: str, done: int, steps: int) -> None:
        """Show a phase; called from the verifying thread."""
        says = {
            "barrier": "writing a row to the source and waiting until Kafka shows it",
            "position": f"waiting until the stream has reached it: {done} of {steps} tables; {table} to go",
            "changelog": f"{table}: does the changelog replay to the mirror",
            "rows": f"{table}: comparing rows, key range {done} of {steps}",
        }
        self._live.update(Text(says[phase], style="dim"))


def _verdict(table: TableReport) -> Text:
    if table.equal:
        return Text("equal", style="green")
    return Text("unverified", style="yellow") if table.unverified else Text("differs", style="bold red")


def _changelog_verdict(table: TableReport) -> Text:
    if table.changelog_equal:
        return Text("replays", style="green")
    return Text(
        f"{table.changelog_differing_rows:,} rows differ, {table.duplicate_events:,} events twice", style="bold red"
    )


def _notes(table: TableReport) -> list[RenderableType]:
    notes: list[RenderableType] = []
    if table.unverified:
        notes.append(Text(f"{table.table}: {table.unverified}", style="yellow"))
    if table.quarantined:
        notes.append(
            Text(f"{table.table}: {table.quarantined} quarantined records: lake quarantine list", style="yellow")
        )
    if table.undone_events:
        notes.append(Text(f"{table.table}: {table.undone_events} later events were undone to compare", style="dim"))
    if table.changelog_keys:
        notes.append(Text(f"{table.table}: changelog and mirror differ at {json.dumps(table.changelog_keys[:3])} …"))
    if table.differences:
        notes.append(_difference_table(table))
    return notes


def _difference_table(table: TableReport) -> Table:
    title = f"{table.table}: the first {len(table.differences)} of {table.differing_rows:,} differing rows"
    found = Table(title=title, title_justify="left", box=None, header_style="dim", pad_edge=False)
    for heading in ("key", "row", "column", "lake", "source"):
        found.add_column(heading)
    for difference in table.differences:
        key = ", ".join(f"{name}={value}" for name, value in difference.key.items())
        if difference.kind != "changed":
            found.add_row(key, difference.kind, "", "", "")
            continue
        for name, (lake, source) in difference.columns.items():
            found.add_row(key, "changed", name, json.dumps(lake), json.dumps(source))
    return found


def _row_table(rows: pa.Table) -> RenderableType:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name, kind in zip(rows.column_names, rows.schema.types, strict=True):
        table.add_column(
            Text(name), justify="right" if str(kind).startswith(("int", "decimal", "double", "float")) else "left"
        )
    for row in _plain(rows.slice(0, MOST_ROWS)):
        table.add_row(*(_cell(value) for value in row.values()))
    told = f"{rows.num_rows:,} rows" + (f", the first {MOST_ROWS:,} shown" if rows.num_rows > MOST_ROWS else "")
    return Group(table, Text(told, style="dim"))


def _cell(value: Any) -> Text:
    if value is None:
        return Text("null", style="dim")
    return Text(value if isinstance(value, str) else json.dumps(value))


def _csv_field(value: Any) -> str:
    """Null is nothing between the commas, empty text is two quotes."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    if text and not set(text) & set('",\n\r'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _plain(rows: pa.Table) -> list[dict[str, Any]]:
    return [{name: shown(value) for name, value in row.items()} for row in rows.to_pylist()]
