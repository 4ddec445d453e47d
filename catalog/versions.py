"""Every version of every row that a changelog tells of: a slowly changing dimension of type 2, as one SQL text.

A version is valid from the change that made it to the next change of its key, a truncate or the next generation: a copy
tells all rows anew, and rows that it lacks went before it. `valid_from` and `valid_to` are times of commit, the LSNs
beside them the places of the changes in the WAL. At a time T a row had the version with valid_from <= T and valid_to
null or above T; what one transaction made and ended is valid at no time. A change of the key ends a row's last version
under its old key and begins the first one under the new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog.history import lake_name
from catalog.lsn import PLACE, quoted_name
from catalog.settings import CATALOG
from catalog.source import SourceTable
from catalog.tables.cdc import SOURCE_PROPERTY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

SUFFIX = "_history"
_FACTS = {
    "valid_from": "committed_at",
    "valid_to": "coalesce(next_at, ended_at)",
    "is_current": "coalesce(next_at, ended_at) is null",
    "valid_from_lsn": "lsn",
    "valid_to_lsn": "coalesce(next_lsn, ended_lsn)",
    "op": "op",
    "transaction_id": "transaction_id",
    "generation": "generation",
    "unchanged": "unchanged",
}
"""Beside a row's columns: what is known of the version. `unchanged` names columns that its update left out."""


@dataclass(frozen=True)
class Versions:
    """The versions of one changelog's rows. A fact whose name is a column of the source has `_` behind it."""

    changelog: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def view(self) -> str:
        """The name that they have in the lake."""
        return self.changelog.removesuffix("_cdc") + SUFFIX

    def sql(self, quote: str) -> str:
        """A select of the versions, in any of the engines; `quote` stands around names."""

        def named(name: str) -> str:
            return quoted_name(name, quote)

        keys = ", ".join(f"e.{named('key')}.{named(name)}" for name in self.key)
        over = f"over (partition by e.generation, x.begins, {keys} order by e.place)"
        images = [f"{named('after')}.{named(name)} as {named(name)}" for name in self.columns]
        facts = [f"{value} as {named(_free(name, self.columns))}" for name, value in _FACTS.items()]
        return f"""with placed as (
  select *, {PLACE} as place from {CATALOG}.{named(self.changelog)}
), begun as (
  select generation, -2 as place, min(case when op = 'r' or place < 0 then committed_at end) as began_at,
    max(case when op = 'r' or place < 0 then lsn end) as began_lsn from placed group by generation
  union all select generation, place, committed_at, lsn from placed where op = 't'
), eras as (
  select generation, place as begins, lead(place) over (partition by generation order by place) as ends,
    lead(began_at) over (order by generation, place) as ended_at,
    lead(began_lsn) over (order by generation, place) as ended_lsn from begun
), versions as (
  select e.*, x.ended_at, x.ended_lsn, lead(e.committed_at) {over} as next_at, lead(e.lsn) {over} as next_lsn
  from placed e join eras x on e.generation = x.generation and e.place > x.begins
    and (x.ends is null or e.place < x.ends)
  where e.op <> 't'
)
select {", ".join([*images, *facts])} from versions where op in ('r', 'c', 'u')"""


def versions_of(mirror: Table) -> Versions | None:
    """The versions of a mirror's rows; None for a table that is no mirror, or whose rows no key tells apart."""
    saved = mirror.properties.get(SOURCE_PROPERTY)
    source = SourceTable.from_json(saved) if saved else None
    if source is None or not source.key:
        return None
    return Versions(source.changelog, source.key, tuple(field.name for field in mirror.schema().fields))


def history_of(catalog: Catalog, name: str) -> Versions | None:
    """What a name such as `taxi_cdc.trips_history` stands for; None for the name of a table."""
    from pyiceberg.exceptions import NoSuchTableError

    full = lake_name(name)
    if not full.endswith(SUFFIX) or catalog.table_exists(full):
        return None
    try:
        return versions_of(catalog.load_table(full.removesuffix(SUFFIX)))
    except NoSuchTableError:
        return None


def _free(name: str, taken: tuple[str, ...]) -> str:
    while name in taken:
        name += "_"
    return name
