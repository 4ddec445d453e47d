"""A query over tables as they stood: every table of the query is pinned to a snapshot, or folded as of an LSN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from catalog.errors import HistoryError
from catalog.history import load_table, parse_instant
from catalog.lsn import Fold, fold_at, parse_lsn, past_at
from catalog.settings import CATALOG
from catalog.versions import history_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog import Catalog
    from sqlglot import exp

Engine = Literal["spark", "duckdb", "trino"]
Past = int | Fold
"""A snapshot's id, or what is folded."""


class Select(Protocol):
    """Rows that a name stands for; `quote` stands around the names in it."""

    def sql(self, quote: str) -> str:
        """A select in any of the engines."""


@dataclass(frozen=True)
class AsOf:
    """What `--as-of` asks for: a time, one snapshot id, or an LSN."""

    kind: Literal["time", "snapshot", "lsn"]
    value: str

    @classmethod
    def parse(cls, text: str) -> AsOf:
        """Read `time:2026-01-31T12:00Z`, `time:-5m`, `snapshot:123` or `lsn:0/1A2B3C`. Raises HistoryError."""
        kind, _, value = text.partition(":")
        if kind == "time" and value:
            return cls("time", value)
        if kind == "snapshot" and value.isdigit():
            return cls("snapshot", value)
        if kind == "lsn" and value:
            return cls("lsn", str(parse_lsn(value)))
        raise HistoryError(
            f"{text!r} is neither a time nor a snapshot nor an LSN",
            remedy="write time:2026-01-31T12:00:00Z, time:-5m, lsn:16/B374D848, or snapshot:ID of `lake history TABLE`",
        )

    def fixed(self) -> AsOf:
        """The same, a time ago as the time that it now is."""
        return AsOf("time", parse_instant(self.value).isoformat()) if self.kind == "time" else self

    def snapshot_of(self, catalog: Catalog, name: str) -> int:
        """The named snapshot of a table. Raises HistoryError where the table has none such."""
        table = load_table(catalog, name)
        if table.snapshot_by_id(int(self.value)) is None:
            raise HistoryError(
                f"{name} has no snapshot {self.value}", remedy=f"lake history {name}; for several tables use time:…"
            )
        return int(self.value)


def parse_point(text: str) -> AsOf | None:
    """A point of one table: `now`, which is None, a snapshot's id alone, or what `AsOf` reads. Raises HistoryError."""
    if text == "now":
        return None
    return AsOf.parse(f"snapshot:{text}" if text.isdigit() else text)


def past_of(as_of: AsOf, catalog: Catalog, duckdb: DuckDBPyConnection, name: str) -> Past:
    """What a table's name stands for at a point. Raises HistoryError where the lake does not know."""
    if history_of(catalog, name) is not None:
        raise HistoryError(
            f"{name} has times of its own", remedy="leave out --as-of: where valid_from <= … and valid_to > …"
        )
    if as_of.kind == "lsn":
        return fold_at(catalog, duckdb, name, int(as_of.value))
    if as_of.kind == "time":
        return past_at(catalog, duckdb, name, parse_instant(as_of.value))
    return as_of.snapshot_of(catalog, name)


def pin_tables(query: str, engine: Engine, past_of: Callable[[str], Past]) -> str:
    """The query with each table's snapshot behind its name, or its fold in the name's place; all other text stays.

    Raises HistoryError for a query that cannot be read or that travels in time by itself.
    """
    changes = []
    for table in _tables(query, engine):
        name = ".".join(part.name for part in table.parts)
        if table.args.get("version") or table.args.get("when"):
            raise HistoryError(f"{name} has its own time in the query", remedy="leave out --as-of, or that time")
        _require_rows(table)
        past = past_of(name)
        changes.append(_replace(table, engine, past) if isinstance(past, Fold) else _insert(query, table, engine, past))
    for start, end, text in sorted(changes, reverse=True):
        query = query[:start] + text + query[end:]
    return query


def expand_tables(query: str, engine: Engine, select_of: Callable[[str], Select | None]) -> str:
    """The query with selects in the place of those names that stand for one. Raises HistoryError where unreadable."""
    changes = []
    for table in _tables(query, engine):
        select = select_of(".".join(part.name for part in table.parts))
        if select is not None:
            changes.append(_replace(table, engine, select))
    for start, end, text in sorted(changes, reverse=True):
        query = query[:start] + text + query[end:]
    return query


def _tables(query: str, engine: Engine) -> list[exp.Table]:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = [found for found in sqlglot.parse(query, dialect=engine) if found is not None]
    except SqlglotError as unread:
        raise HistoryError(
            f"the query could not be read, so its tables are unknown: {str(unread).splitlines()[0]}",
            remedy="correct it, or name the snapshot in the query itself and leave out --as-of",
        ) from unread
    found = [table for statement in statements for table in statement.find_all(exp.Table)]
    return [table for table in found if table.parts and table.parts[-1].meta and not _is_cte(table)]


def _is_cte(table: exp.Table) -> bool:
    """Whether an unqualified name means a WITH of the query around it."""
    from sqlglot import exp

    if len(table.parts) > 1:
        return False
    around = table.parent
    while around is not None:
        with_ = around.args.get("with_") or around.args.get("with")
        if isinstance(with_, exp.With) and table.name.lower() in {cte.alias.lower() for cte in with_.expressions}:
            return True
        around = around.parent
    return False


def _require_rows(table: exp.Table) -> None:
    parts = [part.name for part in table.parts]
    if len(parts[1:] if parts[0] == CATALOG else parts) > 2 or "$" in parts[-1]:
        raise HistoryError(f"{'.'.join(parts)} is a metadata table, which has no past", remedy="leave out --as-of")


def _replace(table: exp.Table, engine: Engine, select: Select) -> tuple[int, int, str]:
    """The select where the name stood, under the name unless the query gives another."""
    quote = "`" if engine == "spark" else '"'
    alias = "" if table.args.get("alias") is not None else f" as {quote}{table.name}{quote}"
    return table.parts[0].meta["start"], table.parts[-1].meta["end"] + 1, f"({select.sql(quote)}){alias}"


def _insert(query: str, table: exp.Table, engine: Engine, snapshot: int) -> tuple[int, int, str]:
    place = table.parts[-1].meta["end"] + 1
    if engine != "duckdb":
        return place, place, f"{' FOR' if engine == 'trino' else ''} VERSION AS OF {snapshot}"
    alias = table.args.get("alias")
    named = [alias.this, *alias.columns] if alias is not None else []
    if named:
        place = named[-1].meta["end"] + 1
    if len(named) > 1:
        place = query.index(")", place) + 1
    return place, place, f" AT (VERSION => {snapshot})"
