"""The changelog beside the staged mirror: folded it gives the same rows; events too new for the source are undone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from catalog.errors import VerificationError
from catalog.verification.barrier import SourcePoint
from catalog.verification.comparison import shown
from catalog.verification.coverage import Pinned
from catalog.verification.multiset import unlike
from catalog.verification.report import SHOWN
from catalog.verification.staging import STAGED, at_snapshot, lake_columns, lake_values, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

UNSEEN_WITHIN = timedelta(days=1)
"""An event committed earlier than this before the snapshot is seen by it: transaction ids of 2^31 ago look new."""
_PARTITION = 1 << 48
_PLACE = f"coalesce(topic_partition::bigint * {_PARTITION} + topic_offset, -1)"
"""An event's place as one number; copies made without Kafka come first."""
_ANY_PLACE = -2
_UNKNOWN = '"lake unknown"'


class SourcePointTooOldError(VerificationError):
    """The lake holds a copy or a truncate that the Postgres snapshot does not see: take a later snapshot."""


@dataclass(frozen=True)
class Replay:
    """How the changelog compares with the mirror."""

    events: int
    duplicates: int
    differing: int
    keys: tuple[dict[str, Any], ...]


def replay_changelog(connection: DuckDBPyConnection, pinned: Pinned) -> Replay:
    """Fold the changelog up to the mirror's position and compare the result with the staged mirror."""
    inside = _inside(pinned)
    counted = connection.execute(
        f"SELECT count(*), count(topic_offset) - count(DISTINCT CASE WHEN topic_offset IS NOT NULL THEN {_PLACE} END)"
        f" FROM {_changelog(pinned)} WHERE {inside}"
    ).fetchone()
    assert counted is not None
    begins = f"{inside} AND {_PLACE} > {_last_truncate(connection, pinned)}"
    differing, examples = (_folded_differs if pinned.source.key else _added_differs)(connection, pinned, begins)
    return Replay(int(counted[0]), int(counted[1]), differing, examples)


def _folded_differs(
    connection: DuckDBPyConnection, pinned: Pinned, begins: str
) -> tuple[int, tuple[dict[str, Any], ...]]:
    keys = [quoted(name) for name in pinned.source.key]
    connection.execute(
        f"CREATE OR REPLACE TABLE scratch.places AS SELECT {', '.join(f'key.{k} AS {k}' for k in keys)},"
        f" max({_PLACE}) AS place, count(*) AS events FROM {_changelog(pinned)} WHERE {begins} AND op <> 't'"
        " GROUP BY ALL"
    )
    connection.execute(f"CREATE OR REPLACE VIEW scratch.folded AS {_folded(pinned, keys)}")
    return _differing(connection, pinned)


def _added_differs(
    connection: DuckDBPyConnection, pinned: Pinned, begins: str
) -> tuple[int, tuple[dict[str, Any], ...]]:
    """Without a key: every row that was added, as often as it was."""
    connection.execute(f"CREATE OR REPLACE VIEW scratch.folded AS {_added(pinned, begins)}")
    pairs = ("scratch.folded", STAGED), (STAGED, "scratch.folded")
    sides = [unlike(connection, *pair, SHOWN) for pair in pairs]
    return sum(count for count, _ in sides), tuple(row for _, rows in sides for row in rows)[:SHOWN]


def _added(pinned: Pinned, condition: str) -> str:
    images = ", ".join(lake_columns(pinned, pinned.changelog, "after."))
    return f"SELECT {images} FROM {_changelog(pinned)} WHERE {condition} AND op IN ('r', 'c')"


def _folded(pinned: Pinned, keys: list[str]) -> str:
    """Each key's row after its last event. A value that an update left out is that of the last event that has it.

    Where the key's events have none (it was left out when the key changed) the column's name stands in _UNKNOWN.
    """
    events = f"(SELECT *, {_PLACE} AS place FROM {_changelog(pinned)} WHERE {_inside(pinned)}) e"
    matched = " AND ".join(f"e.key.{k} = l.{k}" for k in keys)
    last = "e.place = l.place AND e.op IN ('r', 'c', 'u')"
    if pinned.source.full_identity:
        whole = ", ".join([*lake_columns(pinned, pinned.changelog, "e.after."), f"[]::VARCHAR[] AS {_UNKNOWN}"])
        return f"SELECT {whole} FROM {events} JOIN scratch.places l ON {matched} WHERE {last}"
    images, unknown = [], []
    for name, value in lake_values(pinned, pinned.changelog, "e.after.").items():
        literal = "'" + name.replace("'", "''") + "'"
        given = f"FILTER (e.after IS NOT NULL AND NOT list_contains(coalesce(e.unchanged, []), {literal}))"
        images.append(f"arg_max_null({value}, e.place) {given} AS {quoted(name)}")
        unknown.append(f"CASE WHEN count(*) {given} = 0 THEN {literal} END")
    grouped = ", ".join(f"l.{k}" for k in keys)
    return (
        f"SELECT {', '.join(images)}, [{', '.join(unknown)}] AS {_UNKNOWN} FROM {events}"
        f" JOIN scratch.places l ON {matched} WHERE e.place <= l.place"
        f" GROUP BY {grouped} HAVING bool_or({last})"
    )


def undo_unseen(connection: DuckDBPyConnection, pinned: Pinned, point: SourcePoint) -> int:
    """Bring the staged mirror back to what the source's snapshot sees, by before images; return the events undone.

    Raises SourcePointTooOldError for a copy or truncate among them, VerificationError without before images.
    """
    since = min(point.at, datetime.now(UTC)) - UNSEEN_WITHIN
    _require_older_copy(connection, pinned, point)
    unseen = (
        f"{_inside(pinned)} AND committed_at >= TIMESTAMPTZ '{since.isoformat()}' AND op <> 'r'"
        f" AND {point.visible.unseen_sql('transaction_id')}"
    )
    columns = f"op, {'key, ' if pinned.source.key else ''}before, {_PLACE} AS place"
    connection.execute(
        f"CREATE OR REPLACE TABLE scratch.unseen AS SELECT {columns} FROM {_changelog(pinned)} WHERE {unseen}"
    )
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (op = 't'), count(*) FILTER (op IN ('u', 'd')) FROM scratch.unseen"
    ).fetchone()
    assert row is not None
    if row[1]:
        raise SourcePointTooOldError(f"{pinned.source.qualified} was truncated after the snapshot was taken")
    if row[2] and not pinned.source.full_identity:
        raise VerificationError(
            f"{row[2]} late changes of {pinned.source.qualified} carry no whole row image and cannot be undone",
            remedy=f"ALTER TABLE {pinned.source.qualified} REPLICA IDENTITY FULL, or verify while it is idle",
        )
    if row[0] and pinned.source.key:
        _put_back(connection, pinned)
    elif row[0]:
        seen = f"FROM {STAGED} EXCEPT ALL {_added(pinned, unseen)}"
        connection.execute(f"CREATE OR REPLACE TABLE {STAGED} AS {seen}")
    return int(row[0])


def _differing(connection: DuckDBPyConnection, pinned: Pinned) -> tuple[int, tuple[dict[str, Any], ...]]:
    keys = [quoted(name) for name in pinned.source.key]
    others = [c.name for c in pinned.source.columns if c.name not in pinned.source.key]
    unequal = [f"f.{keys[0]} IS NULL", f"m.{keys[0]} IS NULL"]
    for name in others:
        literal = "'" + name.replace("'", "''") + "'"
        differs = f"f.{quoted(name)} IS DISTINCT FROM m.{quoted(name)}"
        unequal.append(f"({differs} AND NOT list_contains(f.{_UNKNOWN}, {literal}))")
    joined = (
        f"FROM scratch.folded f FULL OUTER JOIN {STAGED} m ON {' AND '.join(f'f.{k} = m.{k}' for k in keys)}"
        f" WHERE {' OR '.join(unequal)}"
    )
    chosen = ", ".join(f"coalesce(f.{k}, m.{k}) AS {k}" for k in keys)
    # A row that stands twice in the mirror pairs twice, so repeated keys are counted apart.
    repeated = f"(SELECT count(*) - count(DISTINCT ({', '.join(keys)})) FROM {STAGED})"
    row = connection.execute(f"SELECT count(*) + {repeated} {joined}").fetchone()
    if not row or not row[0]:
        return 0, ()
    found = connection.execute(f"SELECT {chosen} {joined} LIMIT {SHOWN}").to_arrow_table().to_pylist()
    return int(row[0]), tuple({name: shown(value) for name, value in key.items()} for key in found)


def _put_back(connection: DuckDBPyConnection, pinned: Pinned) -> None:
    keys = [quoted(name) for name in pinned.source.key]
    grouped = ", ".join(f"key.{k} AS {k}" for k in keys)
    connection.execute(
        f"CREATE OR REPLACE TABLE scratch.first_unseen AS SELECT {grouped}, arg_min(op, place) AS op,"
        " arg_min(before, place) AS before FROM scratch.unseen GROUP BY ALL"
    )
    matched = " AND ".join(f"u.{k} = m.{k}" for k in keys)
    connection.execute(f"DELETE FROM {STAGED} m USING scratch.first_unseen u WHERE {matched}")
    columns = ", ".join(lake_columns(pinned, pinned.changelog, "before."))
    connection.execute(f"INSERT INTO {STAGED} SELECT {columns} FROM scratch.first_unseen WHERE op <> 'c'")


def _last_truncate(connection: DuckDBPyConnection, pinned: Pinned) -> int:
    row = connection.execute(
        f"SELECT max({_PLACE}) FROM {_changelog(pinned)} WHERE {_inside(pinned)} AND op = 't'"
    ).fetchone()
    return _ANY_PLACE if row is None or row[0] is None else int(row[0])


def _require_older_copy(connection: DuckDBPyConnection, pinned: Pinned, point: SourcePoint) -> None:
    later = f"committed_at > TIMESTAMPTZ '{point.at.isoformat()}'"
    newer = f"(coalesce(lsn > {point.lsn}, {later}) OR (topic_offset IS NULL AND {later}))"
    row = connection.execute(
        f"SELECT count(*) FROM {_changelog(pinned)} WHERE {_inside(pinned)} AND op = 'r' AND {newer}"
    ).fetchone()
    if row and row[0]:
        raise SourcePointTooOldError(f"{pinned.source.qualified} was copied after the snapshot was taken")


def _changelog(pinned: Pinned) -> str:
    return at_snapshot(pinned.source.changelog, pinned.changelog_snapshot)


def _inside(pinned: Pinned) -> str:
    """The events that the pinned mirror was made from."""
    reached = " OR ".join(
        f"(topic_partition = {number} AND topic_offset < {partition.next_offset})"
        for number, partition in sorted(pinned.position.partitions.items())
    )
    return f"generation = {pinned.position.generation} AND (topic_offset IS NULL{' OR ' + reached if reached else ''})"
