"""A mirror as it stood at an LSN or a time: its changelog, folded up to the last transaction committed by then.

Snapshots of a mirror may show half a transaction; this never does. An event does not know where its own transaction
committed, but where the one before it did (`previous_commit_lsn`). So the commits that the changelogs name cut the WAL:
with B the last of them at or before the LSN, a transaction had committed by then exactly if its predecessor's commit
lies before B. One transaction can remain open to doubt: commits of the connector's heartbeat are in no changelog. Then
both boundaries around it are named, and nothing is guessed. (Postgres 14 and older also decode transactions that touch
no published table.) A changelog that is behind the others, since its table was stopped, is folded as far as it goes.

All events of a transaction share the time of its commit, so a time needs no such cut. It may lie before the last copy:
then the generation that stood at that time is folded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from catalog.errors import HistoryError
from catalog.history import load_table, lsn_number, lsn_text, snapshot_at, snapshot_entries
from catalog.positions import position_of
from catalog.settings import CATALOG
from catalog.source import NAMESPACE, SourceTable
from catalog.tables.cdc import NEXT_GENERATION, SOURCE_PROPERTY

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_PARTITION = 1 << 48
PLACE = f"coalesce(cast(topic_partition as bigint) * {_PARTITION} + topic_offset, -1)"
"""An event's place as one number; rows copied without Kafka come first."""


@dataclass(frozen=True)
class Fold:
    """The rows of a mirror after those events of its changelog whose commit lies before `boundary`, an LSN, or where
    there is an `instant`, at it or before.

    `copied_at` is the LSN of the copy that the generation began with, `truncated` the place of the last truncate.
    """

    changelog: str
    generation: int
    key: tuple[str, ...]
    columns: tuple[str, ...]
    copied_at: int = 0
    boundary: int = 0
    truncated: int | None = None
    instant: datetime | None = None

    @property
    def committed(self) -> str:
        """The condition on an event that its transaction had committed."""
        if self.instant is not None:
            return f"committed_at <= {_literal(self.instant)}"
        # the first event after a copy may not know the commit before it
        return f"coalesce(previous_commit_lsn, {self.copied_at}) < {self.boundary}"

    def sql(self, quote: str) -> str:
        """A select of the mirror's columns, in any of the engines; `quote` stands around their names."""
        keys = [f"{quoted_name('key', quote)}.{quoted_name(name, quote)}" for name in self.key]
        named = ", ".join(f"{key} as k{place}" for place, key in enumerate(keys))
        numbers = ", ".join(str(place + 1) for place in range(len(keys)))
        matched = " and ".join(f"e.{key} = l.k{place}" for place, key in enumerate(keys))
        after = quoted_name("after", quote)
        images = ", ".join(f"e.{after}.{quoted_name(c, quote)} as {quoted_name(c, quote)}" for c in self.columns)
        inside = f"generation = {self.generation} and (op = 'r' or op <> 't' and {self.committed})"
        if self.truncated is not None:
            inside += f" and {PLACE} > {self.truncated}"
        events = f"(select *, {PLACE} as place from {CATALOG}.{quoted_name(self.changelog, quote)} where {inside})"
        if not self.key:
            return f"select {images} from {events} e where e.op in ('r', 'c')"
        last = f"(select {named}, max(place) as place from {events} a group by {numbers})"
        return (
            f"select {images} from {events} e join {last} l on {matched} and e.place = l.place"
            " where e.op in ('r', 'c', 'u')"
        )


def quoted_name(name: str, quote: str = '"') -> str:
    """A name, or names with dots between them, as an engine takes it whatever it is."""
    return ".".join(f"{quote}{part.replace(quote, quote * 2)}{quote}" for part in name.split("."))


def _literal(instant: datetime) -> str:
    """An instant, as all three engines take it."""
    return f"timestamp '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC'"


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
    whole = whole_fold(mirror)
    if whole is None:
        table = ".".join(mirror.name())
        raise HistoryError(f"{table} does not follow a source table, so it has no LSN", remedy="use time:…")
    spaces = {NAMESPACE, mirror.name()[0]}
    known = {".".join(identifier) for space in spaces for identifier in catalog.list_tables(space)}
    changelogs = [f"{mirrored}_cdc" for mirrored in sorted(known) if f"{mirrored}_cdc" in known]
    return bounded(duckdb, whole, changelogs, lsn)


def past_at(catalog: Catalog, duckdb: DuckDBPyConnection, name: str, when: datetime) -> int | Fold:
    """A mirror's fold as of a time. Of another table, and where updates left values out, the snapshot that was current.

    Raises HistoryError for a time of which the lake does not know.
    """
    table = load_table(catalog, name)
    whole = whole_fold(table)
    fold = None if whole is None else folded_until(duckdb, whole, when)
    return snapshot_at(table, when) if fold is None else fold


def whole_fold(mirror: Table) -> Fold | None:
    """The fold of a mirror's present generation, without an end; None for a table that is no mirror.

    Raises HistoryError before the first copy is whole.
    """
    saved = mirror.properties.get(SOURCE_PROPERTY)
    if saved is None:
        return None
    source, metadata = SourceTable.from_json(saved), mirror.metadata
    position = position_of(snapshot_entries(mirror), metadata.current_snapshot_id, mirror.properties)
    if position is None and NEXT_GENERATION in metadata.refs:
        table = ".".join(mirror.name())
        raise HistoryError(f"{table} is being copied for the first time", remedy="wait for it: lake status")
    columns = tuple(field.name for field in mirror.schema().fields)
    return Fold(source.changelog, position.generation if position else 0, source.key, columns)


def folded_until(duckdb: DuckDBPyConnection, fold: Fold, when: datetime) -> Fold | None:
    """The fold of the generation that stood at a time; None where updates by then had left values out.

    Raises HistoryError for a time before the first copy.
    """
    begun = f"""
    select generation, coalesce(
        max(committed_at) filter (op = 'r' or topic_offset is null), min(committed_at)) as began
    from {CATALOG}.{quoted_name(fold.changelog)} group by generation
    having generation <= {fold.generation} or count(topic_offset) filter (op = 'r') = 0
    """
    row = duckdb.execute(
        f"select max(generation) filter (began <= ?), min(began) from ({begun}) as generations", [when]
    ).fetchone()
    generation, first = row if row is not None else (None, None)
    if generation is None and first is not None:
        raise HistoryError(
            f"{fold.changelog.removesuffix('_cdc')} was copied at {first.isoformat()}: what stood at "
            f"{when.isoformat()} is not known",
            remedy=f"ask for time:{first.isoformat()} or a later one",
        )
    until = replace(fold, generation=generation or 0, instant=when)
    row = duckdb.execute(
        f"select max({PLACE}) filter (op = 't'), count(unchanged) from {CATALOG}.{quoted_name(fold.changelog)}"
        f" where generation = {until.generation} and {until.committed}"
    ).fetchone()
    assert row is not None
    return None if row[1] else replace(until, truncated=row[0])


def bounded(duckdb: DuckDBPyConnection, fold: Fold, changelogs: Sequence[str], lsn: int) -> Fold:
    """The fold up to an LSN, with the commits that these changelogs name. Raises HistoryError as `fold_at` does."""
    before, after = _commits_around(duckdb, changelogs, lsn)
    facts = _facts(duckdb, fold, before or 0, lsn)
    _require_known(fold.changelog.removesuffix("_cdc"), lsn, before, after, facts)
    return replace(fold, copied_at=facts.copied_at, boundary=before or 0, truncated=facts.truncated)


def _commits_around(duckdb: DuckDBPyConnection, changelogs: Sequence[str], lsn: int) -> tuple[int | None, int | None]:
    """The last commit at or before an LSN and the first after it, of those that any changelog names."""
    each = " union all ".join(f"select previous_commit_lsn from {CATALOG}.{quoted_name(name)}" for name in changelogs)
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
        select *, {PLACE} as place from {CATALOG}.{quoted_name(fold.changelog)} where generation = {fold.generation}
    ),
    copied as (
        select coalesce(max(lsn) filter (op = 'r' or topic_offset is null), min(previous_commit_lsn), 0) as copied_at
        from events
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
