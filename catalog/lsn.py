"""A mirror as it stood at an LSN: its changelog, folded up to the last transaction that had committed by then.

Snapshots of a mirror may show half a transaction; this never does. An event does not know where its own transaction
committed, but where the one before it did (`previous_commit_lsn`). So the commits that the changelogs name cut the WAL:
with B the last of them at or before the LSN, a transaction had committed by then exactly if its predecessor's commit
lies before B. One transaction can remain open to doubt: commits of the connector's heartbeat are in no changelog. Then
both boundaries around it are named, and nothing is guessed. (Postgres 14 and older also decode transactions that touch
no published table.) A changelog that is behind the others, since its table was stopped, is folded as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from catalog.errors import HistoryError
from catalog.history import load_table, lsn_number, lsn_text, snapshot_entries
from catalog.positions import position_of
from catalog.settings import CATALOG
from catalog.source import NAMESPACE, SourceTable
from catalog.tables.cdc import NEXT_GENERATION, SOURCE_PROPERTY

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog import Catalog

_PARTITION = 1 << 48
_PLACE = f"coalesce(cast(topic_partition as bigint) * {_PARTITION} + topic_offset, -1)"
"""An event's place as one number; rows copied without Kafka come first."""


@dataclass(frozen=True)
class Fold:
    """The rows of a mirror after those events of its changelog that lie before `boundary`, an LSN.

    `copied_at` is the LSN of the copy that the generation began with, `truncated` the place of the last truncate.
    """

    changelog: str
    generation: int
    key: tuple[str, ...]
    columns: tuple[str, ...]
    copied_at: int = 0
    boundary: int = 0
    truncated: int | None = None

    def sql(self, quote: str) -> str:
        """A select of the mirror's columns, in any of the engines; `quote` stands around their names."""
        keys = [f"{_quoted('key', quote)}.{_quoted(name, quote)}" for name in self.key]
        named = ", ".join(f"{key} as k{place}" for place, key in enumerate(keys))
        numbers = ", ".join(str(place + 1) for place in range(len(keys)))
        matched = " and ".join(f"e.{key} = l.k{place}" for place, key in enumerate(keys))
        after = _quoted("after", quote)
        images = ", ".join(f"e.{after}.{_quoted(c, quote)} as {_quoted(c, quote)}" for c in self.columns)
        # the first event after a copy may not know the commit before it
        committed = f"coalesce(previous_commit_lsn, {self.copied_at}) < {self.boundary}"
        inside = f"generation = {self.generation} and (op = 'r' or op <> 't' and {committed})"
        if self.truncated is not None:
            inside += f" and {_PLACE} > {self.truncated}"
        events = f"(select *, {_PLACE} as place from {CATALOG}.{_quoted(self.changelog, quote)} where {inside})"
        last = f"(select {named}, max(place) as place from {events} a group by {numbers})"
        return (
            f"select {images} from {events} e join {last} l on {matched} and e.place = l.place"
            " where e.op in ('r', 'c', 'u')"
        )


def _quoted(name: str, quote: str = '"') -> str:
    """A name, or names with dots between them, as an engine takes it whatever it is."""
    return ".".join(f"{quote}{part.replace(quote, quote * 2)}{quote}" for part in name.split("."))


def parse_lsn(text: str) -> int:
    """An LSN as Postgres writes it, or as a number. Raises HistoryError."""
    if re.fullmatch(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", text):
        return lsn_number(text)
    if re.fullmatch(r"\d{1,19}", text):
        return int(text)
    raise HistoryError(f"{text!r} is no LSN", remedy="write lsn:16/B374D848, as pg_current_wal_insert_lsn() does")


def fold_at(catalog: Catalog, duckdb: DuckDBPyConnection, name: str, lsn: int) -> Fold:
    """How a mirror is folded as of an LSN. Raises HistoryError where the lake does not know what stood then."""
    mirror = load_table(catalog, name)
    table = ".".join(mirror.name())
    saved = mirror.properties.get(SOURCE_PROPERTY)
    if saved is None:
        raise HistoryError(f"{table} does not follow a source table, so it has no LSN", remedy="use time:…")
    source, metadata = SourceTable.from_json(saved), mirror.metadata
    position = position_of(snapshot_entries(mirror), metadata.current_snapshot_id, mirror.properties)
    if position is None and NEXT_GENERATION in metadata.refs:
        raise HistoryError(f"{table} is being copied for the first time", remedy="wait for it: lake status")
    columns = tuple(field.name for field in mirror.schema().fields)
    known = {identifier[-1] for identifier in catalog.list_tables(NAMESPACE)}
    changelogs = [f"{NAMESPACE}.{mirrored}_cdc" for mirrored in sorted(known) if f"{mirrored}_cdc" in known]
    whole = Fold(source.changelog, position.generation if position else 0, source.key, columns)
    return bounded(duckdb, whole, changelogs, lsn)


def bounded(duckdb: DuckDBPyConnection, fold: Fold, changelogs: Sequence[str], lsn: int) -> Fold:
    """The fold up to an LSN, with the commits that these changelogs name. Raises HistoryError as `fold_at` does."""
    before, after = _commits_around(duckdb, changelogs, lsn)
    facts = _facts(duckdb, fold, before or 0, lsn)
    _require_known(fold.changelog.removesuffix("_cdc"), lsn, before, after, facts)
    return replace(fold, copied_at=facts.copied_at, boundary=before or 0, truncated=facts.truncated)


def _commits_around(duckdb: DuckDBPyConnection, changelogs: Sequence[str], lsn: int) -> tuple[int | None, int | None]:
    """The last commit at or before an LSN and the first after it, of those that any changelog names."""
    each = " union all ".join(f"select previous_commit_lsn from {CATALOG}.{_quoted(name)}" for name in changelogs)
    query = f"select max(p) filter (p <= {lsn}), min(p) filter (p > {lsn}) from ({each}) as named (p)"
    row = duckdb.execute(query).fetchone()
    return row if row is not None else (None, None)


@dataclass(frozen=True)
class _Facts:
    """Of one generation of a changelog: its copy's LSN, the place of the last truncate that counts, events that left
    values out, and the last change of the transaction of which it is not known whether it had committed by an LSN."""

    copied_at: int
    truncated: int | None
    incomplete: int
    open_change: int | None
    open_transaction: int | None


def _facts(duckdb: DuckDBPyConnection, fold: Fold, boundary: int, lsn: int) -> _Facts:
    doubtful = f"op <> 'r' and p >= {boundary} and p < {lsn}"
    query = f"""
    with events as (
        select *, {_PLACE} as place from {CATALOG}.{_quoted(fold.changelog)} where generation = {fold.generation}
    ),
    copied as (
        select coalesce(max(lsn) filter (op = 'r'), min(previous_commit_lsn), 0) as copied_at from events
    ),
    placed as (select *, coalesce(previous_commit_lsn, copied_at) as p from events cross join copied)
    select (select copied_at from copied), max(place) filter (op = 't' and p < {boundary}),
        count(unchanged) filter (p < {boundary}), max(lsn) filter ({doubtful}),
        max(transaction_id) filter ({doubtful}) from placed
    """
    row = duckdb.execute(query).fetchone()
    assert row is not None
    return _Facts(*row)


def _require_known(table: str, lsn: int, before: int | None, after: int | None, facts: _Facts) -> None:
    asked = f"lsn:{lsn_text(lsn)}"
    if lsn < facts.copied_at:
        raise HistoryError(
            f"{table} was copied at LSN {lsn_text(facts.copied_at)}: what stood at {asked} is not known",
            remedy=f"ask for lsn:{lsn_text(facts.copied_at)} or a later one",
        )
    if facts.incomplete:
        raise HistoryError(
            f"{facts.incomplete} updates of {table} left values out, so its changelog cannot be folded",
            remedy="use time:…; for later, make its replica identity full, then lake resync",
        )
    if after is None and before != lsn:
        remedy = "ask again when a later change of any table has arrived (lake status)"
        if before is not None and before >= facts.copied_at:
            remedy += f", or for lsn:{lsn_text(before)}, the newest commit that the lake knows"
        raise HistoryError(f"the lake has not come to {asked} yet", remedy=remedy)
    if facts.open_change is not None and facts.open_change < lsn:
        assert after is not None
        raise HistoryError(
            f"transaction {facts.open_transaction} of {table} made its last change before {asked} and committed before "
            f"{lsn_text(after)}; the lake does not know on which side of {asked}",
            remedy=f"lsn:{lsn_text(after)} is with it, lsn:{lsn_text(before or facts.copied_at)} without",
        )
