"""Rows of the source, read by COPY in one exported snapshot, key range by key range, into Arrow."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import sql

from catalog.pseudonyms import copied_pseudonym
from catalog.source import SourceColumn, SourceTable
from catalog.types import ColumnType, Form

NOT_HOLDABLE = "(what Iceberg cannot hold)"
"""Column that names the values, infinite times and NaN decimals, for which the lake has no form."""
_UNHOLDABLE = r"^(NaN|-?[Ii]nfinity)$| BC$|^\d{5,}-"
_BYTE_ORDERED = ("C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic")
_BLOCK = 8192
_SAMPLED_BLOCKS = 4000
_BLOCKS_PER_RANGE = 4096
"""32 MiB, in which there are at most 930,000 rows."""


@dataclass(frozen=True)
class KeyRange:
    """Values of the first key column from `low` (inclusive) to `high` (exclusive), as text; None is open."""

    low: str | None
    high: str | None


@dataclass(frozen=True)
class RangeKey:
    """What ranges are cut over. `expression` sorts in Postgres as the first key column does in the lake.

    Without a key it is the place of a row's block, of which the lake knows nothing.
    """

    expression: sql.Composable
    literal_type: str
    uses_index: bool


def comparable_type(column: ColumnType) -> pa.DataType:
    """The Arrow type in which both sides are compared: bytes as hexadecimal text, all else as the lake holds it."""
    return pa.string() if column.form is Form.BASE64 else column.arrow


def comparable_schema(table: SourceTable) -> pa.Schema:
    """The schema in which both sides are compared."""
    return pa.schema([pa.field(column.name, comparable_type(column.type)) for column in table.columns])


def range_key(connection: psycopg.Connection[Any], table: SourceTable) -> RangeKey:
    """How to cut the table into ranges that Postgres and the lake understand alike."""
    if not table.key:
        return RangeKey(sql.SQL("ctid"), "tid", True)
    column = next(c for c in table.columns if c.name == table.key[0])
    name = sql.Identifier(column.name)
    if column.type.form is Form.BASE64:
        return RangeKey(sql.SQL("encode({}, 'hex') collate \"C\"").format(name), "text", False)
    in_its_order = column.type.form is Form.TIME or not pa.types.is_string(column.type.arrow)
    if in_its_order and column.type.postgres != "money":
        return RangeKey(name, column.type.postgres, True)
    if column.postgres == "uuid":
        return RangeKey(name, "uuid", True)
    is_plain = column.postgres == "text" or column.postgres.startswith("character varying")
    if is_plain and _collation(connection, table, column) in _BYTE_ORDERED:
        return RangeKey(name, "text", True)
    value = sql.SQL(column.type.copied_as("{}")).format(name)
    return RangeKey(sql.SQL('concat({}) collate "C"').format(value), "text", False)


def key_ranges(
    connection: psycopg.Connection[Any], table: SourceTable, key: RangeKey, rows_per_range: int
) -> list[KeyRange]:
    """Cut the table into ranges of about that many rows, from a sample of its blocks; both ends are open.

    The cuts are in the order of the key: a bare `k` would be the text that is selected, and 1000 come before 20.
    """
    place = sql.Identifier(table.schema, table.name)
    if not table.key:
        return _block_ranges(connection, place)
    size = connection.execute(sql.SQL("select pg_relation_size({}::regclass)").format(sql.Literal(place.as_string())))
    row = size.fetchone()
    blocks = max(1, int(row[0]) // _BLOCK) if row else 1
    percent = min(100.0, 100.0 * _SAMPLED_BLOCKS / blocks)
    each = max(1, int(rows_per_range * percent / 100))
    query = sql.SQL(
        "select distinct on (s.k) s.k::text from (select {key} as k, row_number() over (order by {key}) as n"
        " from {place} tablesample system ({percent}) repeatable (1)) s where n %% {each} = 0 order by s.k"
    ).format(key=key.expression, place=place, percent=sql.Literal(percent), each=sql.Literal(each))
    cuts = [row[0] for row in connection.execute(query, []).fetchall()]
    return [KeyRange(low, high) for low, high in zip([None, *cuts], [*cuts, None], strict=True)]


def _block_ranges(connection: psycopg.Connection[Any], place: sql.Identifier) -> list[KeyRange]:
    """The blocks of a table, or of all its partitions at once."""
    query = "select max(pg_relation_size(relid)) from pg_partition_tree({}::regclass)"
    row = connection.execute(sql.SQL(query).format(sql.Literal(place.as_string()))).fetchone()
    blocks = int(row[0] or 0) // _BLOCK if row else 0
    cuts = [f"({block},0)" for block in range(_BLOCKS_PER_RANGE, blocks, _BLOCKS_PER_RANGE)]
    return [KeyRange(low, high) for low, high in zip([None, *cuts], [*cuts, None], strict=True)]


def read_range(connection: psycopg.Connection[Any], table: SourceTable, key: RangeKey, cut: KeyRange) -> pa.Table:
    """The rows of one range; with the column NOT_HOLDABLE where a value has no form in the lake."""
    text = b"".join(_copied(connection, table, key, cut))
    if not text:
        return comparable_schema(table).empty_table()
    try:
        return _parsed(text, table, strict=True)
    except (pa.ArrowException, ValueError):
        return _with_unholdable(_parsed(text, table, strict=False), table)


def _copied(connection: psycopg.Connection[Any], table: SourceTable, key: RangeKey, cut: KeyRange) -> list[bytes]:
    columns = [sql.SQL(_copy_expression(c)).format(sql.Identifier(c.name)) for c in table.columns]
    bounds = [
        sql.SQL("{} {} {}::{}").format(key.expression, sql.SQL(sign), sql.Literal(bound), sql.SQL(key.literal_type))
        for sign, bound in ((">=", cut.low), ("<", cut.high))
        if bound is not None
    ]
    quoted = [sql.Identifier(f"c{n}") for n, c in enumerate(table.columns) if _csv_type(c) == pa.string()]
    named = [sql.SQL("{} as {}").format(c, sql.Identifier(f"c{n}")) for n, c in enumerate(columns)]
    query = sql.SQL("copy (select {} from {}{}) to stdout (format csv{})").format(
        sql.SQL(", ").join(named),
        sql.Identifier(table.schema, table.name),
        sql.SQL(" where ") + sql.SQL(" and ").join(bounds) if bounds else sql.SQL(""),
        sql.SQL(", force_quote ({})").format(sql.SQL(", ").join(quoted)) if quoted else sql.SQL(""),
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        return [bytes(block) for block in copy]


def _copy_expression(column: SourceColumn) -> str:
    if column.masked:
        return "null"
    if column.sign:
        return copied_pseudonym(len(column.sign))
    return "encode({}, 'hex')" if column.type.form is Form.BASE64 else column.type.copied_as("{}")


def _csv_type(column: SourceColumn) -> pa.DataType:
    """The type in which CSV carries a column: lists as JSON text."""
    return pa.string() if column.type.form is Form.LIST else comparable_type(column.type)


def _parsed(text: bytes, table: SourceTable, *, strict: bool) -> pa.Table:
    types = {c.name: _csv_type(c) if strict else pa.string() for c in table.columns}
    parsed = pyarrow.csv.read_csv(
        pa.py_buffer(text),
        # One block: a row may be longer than any block size chosen beforehand.
        read_options=pyarrow.csv.ReadOptions(column_names=list(types), use_threads=False, block_size=len(text) + 1),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    for place, column in enumerate(table.columns):
        if strict and column.type.element is not None:
            items = _lists(parsed[column.name], column.type.element)
            parsed = parsed.set_column(place, column.name, pa.array(items, column.type.arrow))
    return parsed


def _with_unholdable(text: pa.Table, table: SourceTable) -> pa.Table:
    """Convert column by column; a value without a form becomes null and is told in NOT_HOLDABLE."""
    told: list[str | None] = [None] * text.num_rows
    converted = {}
    for column in table.columns:
        values, target = text[column.name], comparable_type(column.type)
        if column.type.element is not None:
            held, bad = _holdable_lists(values, column.type.element, target)
            converted[column.name] = held
        elif not (pa.types.is_string(target) or pa.types.is_floating(target)):
            matched = pc.fill_null(pc.match_substring_regex(values, _UNHOLDABLE), False)
            bad = pc.indices_nonzero(matched).to_pylist()
            held = pc.if_else(matched, None, values)
            converted[column.name] = pc.equal(held, "t") if pa.types.is_boolean(target) else held.cast(target)
        else:
            converted[column.name], bad = values.cast(target), []
        for row in bad:
            told[row] = f"{told[row] or ''} {column.name}={values[row].as_py()}".strip()
    return pa.table(converted).append_column(NOT_HOLDABLE, pa.array(told, pa.string()))


def _holdable_lists(texts: pa.ChunkedArray, element: ColumnType, target: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Lists, null where one has several dimensions or an item without a form; and the places of those."""
    held, bad = [], []
    for row, text in enumerate(texts.to_pylist()):
        items = None
        try:
            (items,) = _lists(pa.chunked_array([[text]], pa.string()), element)
            pa.array([items], target)
        except (pa.ArrowException, ValueError, TypeError):
            bad.append(row)
            items = None
        held.append(items)
    return pa.array(held, target), bad


def _lists(texts: pa.ChunkedArray, element: ColumnType) -> Sequence[list[Any] | None]:
    parsed = (json.loads(t, parse_float=Decimal) if t is not None else None for t in texts.to_pylist())
    return [None if items is None else [_item(item, element) for item in items] for items in parsed]


def _item(item: Any, element: ColumnType) -> Any:
    if item is None:
        return None
    if element.form is Form.DECIMAL:
        return Decimal(item)
    if element.form is Form.FLOAT:
        return float(item)
    if element.form is Form.DATE:
        return datetime.date.fromisoformat(item)
    if element.form in (Form.TIMESTAMP, Form.INSTANT):
        return datetime.datetime.fromisoformat(item)
    if element.form is Form.BASE64:
        return bytes.fromhex(item.removeprefix("\\x"))
    return item


def _collation(connection: psycopg.Connection[Any], table: SourceTable, column: SourceColumn) -> str:
    row = connection.execute(
        "select case when c.collprovider = 'd' then d.datcollate else coalesce(c.collcollate, '') end"
        " from pg_attribute a join pg_collation c on c.oid = a.attcollation"
        " join pg_database d on d.datname = current_database()"
        " where a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass and a.attnum = %s",
        [table.schema, table.name, column.attnum],
    ).fetchone()
    return str(row[0]) if row else ""
