"""What a changed source schema means for the lake's tables. Pure: DDL, or the reason why the table must stop.

Columns are told apart by Postgres' attribute numbers. Added and widened columns flow; a dropped one stays and is null
from then on. A renamed, retyped, narrowed or re-created column needs a resync, because no events tell of the rows that
are there already.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import pyarrow as pa

from catalog.errors import TableStoppedError
from catalog.source import SourceColumn, SourceTable
from catalog.tables.cdc import spark_type


def require_followable(old: SourceTable, new: SourceTable) -> None:
    """Raise TableStoppedError when DDL alone does not lead from `old` to `new`."""
    table = new.qualified
    if old.oid and new.oid and old.oid != new.oid:
        raise TableStoppedError(table, "it was dropped and created again")
    if old.key != new.key:
        raise TableStoppedError(table, f"its primary key changed from {old.key} to {new.key}")
    before = {column.name: column for column in old.columns}
    names = {column.attnum: column.name for column in old.columns}
    past = {column.name for column in old.past}
    for column in new.columns:
        known, name = before.get(column.name), column.name
        if known is None and column.attnum in names:
            raise TableStoppedError(table, f"column {names[column.attnum]} was renamed to {name}")
        if name in past or (known is not None and known.attnum != column.attnum):
            raise TableStoppedError(table, f"column {name} was dropped and created again")
        if known is None and _old_rows_have(column, old, new):
            raise TableStoppedError(table, f"column {name} was added with a default that old rows have too")
        if known is not None and known.sign != column.sign:
            raise TableStoppedError(table, f"the pseudonyms of column {name} are made in another way now")
        if known is not None and not _keeps_values(known, column):
            raise TableStoppedError(table, f"column {name} changed from {known.postgres} to {column.postgres}")


def _old_rows_have(added: SourceColumn, old: SourceTable, new: SourceTable) -> bool:
    """Whether rows got a value without an event: as a stored default, or because Postgres wrote the table anew.

    A partitioned table has no file; whether its partitions were rewritten is not known.
    """
    rewritten = new.file == 0 or old.file != new.file
    return added.default == "old rows" or (added.default == "new rows" and rewritten)


_LIMIT = re.compile(r"character varying(?:\((\d+)\))?|text")


def _keeps_values(old: SourceColumn, new: SourceColumn) -> bool:
    """False where Postgres may have rewritten rows with other values, of which no event tells."""
    if old.postgres == new.postgres:
        return True
    texts = _LIMIT.fullmatch(old.postgres), _LIMIT.fullmatch(new.postgres)
    if texts[0] and texts[1]:
        before, after = (int(match[1]) if match[1] else None for match in texts if match)
        return after is None or (before is not None and before <= after)
    if (old.postgres, new.postgres) == ("smallint", "integer"):
        return True
    return _widens(old.type.arrow, new.type.arrow)


def _widens(old: pa.DataType, new: pa.DataType) -> bool:
    """Iceberg's promotions (https://iceberg.apache.org/spec/#schema-evolution) that keep every value."""
    if pa.types.is_decimal(old) and pa.types.is_decimal(new):
        return bool(old.scale == new.scale and old.precision < new.precision)
    return (old, new) in {(pa.int32(), pa.int64()), (pa.float32(), pa.float64())}


def require_rebuildable(
    mirror: pa.Schema, changelog: pa.Schema, source: SourceTable, partitioned_by: Collection[str]
) -> None:
    """Raise TableStoppedError where both tables have to be made anew for a source schema."""
    reasons = [
        f"column {column.name}, by which its mirror is partitioned, has another type"
        for column in source.columns
        if column.name in partitioned_by and _is_retyped(mirror.field(column.name), column)
    ]
    if bool(source.key) != ("key" in changelog.names):
        reasons.append("it joined append-only and has a primary key now" if source.key else "it lost its primary key")
    if reasons:
        table = source.qualified
        again = f"lake remove {table} --drop; then lake add {table}, with its other options"
        raise TableStoppedError(table, reasons[0], remedy=again)


def _is_retyped(held: pa.Field, column: SourceColumn) -> bool:
    kind = column.type.arrow
    return spark_type(held.type) != spark_type(kind) and not _widens(held.type, kind)


def statements(
    mirror: pa.Schema, changelog: pa.Schema, source: SourceTable, mirror_name: str, log_name: str
) -> list[str]:
    """DDL that brings both tables, as they are now, to a source schema; a retyped column is dropped and added.

    Repeating it after a crash between two statements gives those that are left.
    """
    lines = []
    for column in source.columns:
        held = mirror.field(column.name) if column.name in mirror.names else None
        lines += _rebuilt(mirror_name, f"`{column.name}`", held, column)
        if held is not None and not held.nullable and column.name not in source.key:
            lines.append(f"ALTER TABLE {mirror_name} ALTER COLUMN `{column.name}` DROP NOT NULL")
        for image in ("before", "after", *(["key"] if column.name in source.key else [])):
            struct = changelog.field(image).type
            place = struct.get_field_index(column.name)
            lines += _rebuilt(log_name, f"{image}.`{column.name}`", None if place < 0 else struct.field(place), column)
    return lines


def _rebuilt(table: str, place: str, held: pa.Field | None, column: SourceColumn) -> list[str]:
    kind = spark_type(column.type.arrow)
    if held is None:
        return [f"ALTER TABLE {table} ADD COLUMNS ({place} {kind})"]
    if _is_retyped(held, column):
        return [f"ALTER TABLE {table} DROP COLUMN {place}", f"ALTER TABLE {table} ADD COLUMNS ({place} {kind})"]
    if spark_type(held.type) == kind:
        return []
    return [f"ALTER TABLE {table} ALTER COLUMN {place} TYPE {kind}"]
