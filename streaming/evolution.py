"""What a changed source schema means for the lake's tables. Pure: a plan, or the reason why the table must stop.

Columns are told apart by Postgres' attribute numbers. Added and widened columns flow; a dropped one stays and is null
from then on; a renamed one is a dropped and an added one. A retyped, narrowed or re-created column needs a resync.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from catalog.errors import TableStoppedError
from catalog.source import SourceColumn, SourceTable
from catalog.tables.cdc import spark_type


@dataclass(frozen=True)
class Evolution:
    """Columns to add and to widen."""

    added: tuple[SourceColumn, ...] = ()
    widened: tuple[SourceColumn, ...] = ()

    def statements(self, mirror: str, changelog: str) -> list[str]:
        """The DDL for both tables, identifiers with the catalog's name."""
        lines = []
        for column in self.added:
            kind = spark_type(column.type.arrow)
            lines.append(f"ALTER TABLE {mirror} ADD COLUMNS (`{column.name}` {kind})")
            lines += [f"ALTER TABLE {changelog} ADD COLUMNS ({i}.`{column.name}` {kind})" for i in ("before", "after")]
        for column in self.widened:
            kind = spark_type(column.type.arrow)
            lines.append(f"ALTER TABLE {mirror} ALTER COLUMN `{column.name}` TYPE {kind}")
            places = [f"{i}.`{column.name}`" for i in ("before", "after")]
            lines += [f"ALTER TABLE {changelog} ALTER COLUMN {place} TYPE {kind}" for place in places]
        return lines


def plan(old: SourceTable, new: SourceTable, *, with_default: frozenset[str] = frozenset()) -> Evolution:
    """How to follow from `old` to `new`; `with_default` names columns whose existing rows got a value without an event.

    Raises TableStoppedError when no row events tell what happened.
    """
    table = new.qualified
    if old.key != new.key:
        raise TableStoppedError(table, f"its primary key changed from {old.key} to {new.key}")
    before = {column.name: column for column in old.columns}
    added, widened = [], []
    for column in new.columns:
        known = before.get(column.name)
        if known is None:
            if column.name in with_default:
                raise TableStoppedError(table, f"column {column.name} was added with a default that old rows have too")
            added.append(column)
        elif known.attnum != column.attnum:
            raise TableStoppedError(table, f"column {column.name} was dropped and created again")
        elif known.type.arrow != column.type.arrow:
            if not _widens(known.type.arrow, column.type.arrow):
                raise TableStoppedError(
                    table, f"column {column.name} changed from {known.postgres} to {column.postgres}"
                )
            widened.append(column)
    return Evolution(tuple(added), tuple(widened))


def _widens(old: pa.DataType, new: pa.DataType) -> bool:
    """Iceberg's promotions (https://iceberg.apache.org/spec/#schema-evolution) that keep every value."""
    if pa.types.is_decimal(old) and pa.types.is_decimal(new):
        return bool(old.scale == new.scale and old.precision < new.precision)
    return (old, new) in {(pa.int32(), pa.int64()), (pa.float32(), pa.float64())}


def rebuild(mirror: pa.Schema, changelog: pa.Schema, source: SourceTable, mirror_name: str, log_name: str) -> list[str]:
    """DDL that brings both tables to any source schema, for a new generation: a retyped column is dropped and added."""
    statements = []
    for column in source.columns:
        held = mirror.field(column.name) if column.name in mirror.names else None
        statements += _rebuilt(mirror_name, f"`{column.name}`", held, column)
        if held is not None and not held.nullable and column.name not in source.key:
            statements.append(f"ALTER TABLE {mirror_name} ALTER COLUMN `{column.name}` DROP NOT NULL")
        for image in ("before", "after", *(["key"] if column.name in source.key else [])):
            struct = changelog.field(image).type
            place = struct.get_field_index(column.name)
            statements += _rebuilt(
                log_name, f"{image}.`{column.name}`", None if place < 0 else struct.field(place), column
            )
    return statements


def _rebuilt(table: str, place: str, held: pa.Field | None, column: SourceColumn) -> list[str]:
    kind = spark_type(column.type.arrow)
    if held is None:
        return [f"ALTER TABLE {table} ADD COLUMNS ({place} {kind})"]
    if spark_type(held.type) == kind:
        return []
    if _widens(held.type, column.type.arrow):
        return [f"ALTER TABLE {table} ALTER COLUMN {place} TYPE {kind}"]
    return [f"ALTER TABLE {table} DROP COLUMN {place}", f"ALTER TABLE {table} ADD COLUMNS ({place} {kind})"]
