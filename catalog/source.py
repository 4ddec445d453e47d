"""Source tables: columns with attribute numbers, key, replica identity, and their names in Kafka and in the lake."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from catalog.options import NAMESPACE, PLAIN, Options
from catalog.types import ColumnType, column_type

PUBLISHED_INSIDE = ("heartbeat", "signal")
"""Service tables: published for Debezium and verification, never mirrored."""


@dataclass(frozen=True)
class SourceColumn:
    """One column. `attnum` tells a dropped and re-added column from the old one of the same name; `default` is empty,
    `old rows` (those from before it was added read it too) or `new rows`. A `masked` one is null in every row; of one
    with a `sign`, the pseudonym of a value that Debezium left out, the lake has pseudonyms.
    """

    name: str
    attnum: int
    postgres: str
    is_enum: bool
    not_null: bool
    default: str = ""
    masked: bool = False
    sign: str = ""

    @cached_property
    def type(self) -> ColumnType:
        """Its type in every view."""
        return column_type(self.postgres, is_enum=self.is_enum)


@dataclass(frozen=True)
class SourceTable:
    """One published table: `key` holds the primary key's column names in key order, none where rows are only added.

    `past` are columns that were dropped since the lake first saw the table; Postgres does not tell them. `oid` tells a
    table that was made again, `file` one that was rewritten; 0 where it is not known.
    """

    schema: str
    name: str
    columns: tuple[SourceColumn, ...]
    key: tuple[str, ...]
    full_identity: bool
    past: tuple[SourceColumn, ...] = ()
    oid: int = 0
    file: int = 0
    namespace: str = NAMESPACE

    @property
    def qualified(self) -> str:
        """`schema.table`, the name that people use in commands."""
        return f"{self.schema}.{self.name}"

    @property
    def _flat(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}__{self.name}"

    @property
    def mirror(self) -> str:
        """`namespace.table` of the mirror, without the catalog's name."""
        return f"{self.namespace}.{self._flat}"

    @property
    def changelog(self) -> str:
        """`namespace.table` of the changelog."""
        return f"{self.mirror}_cdc"

    def topic(self, prefix: str) -> str:
        """The Kafka topic of its change events."""
        return f"{prefix}.{self.name}" if self.schema == "public" else f"{prefix}.{self.schema}.{self.name}"

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Its rows in memory, columns in Postgres' order; key columns are required."""
        return pa.schema([pa.field(c.name, c.type.arrow, nullable=c.name not in self.key) for c in self.columns])

    def to_json(self) -> str:
        """Its persisted form, a property of the mirror."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> SourceTable:
        """Read the persisted form."""
        fields: dict[str, Any] = json.loads(text)
        columns, past = (tuple(SourceColumn(**c) for c in fields.pop(name)) for name in ("columns", "past"))
        return cls(columns=columns, past=past, key=tuple(fields.pop("key")), **fields)

    def following(self, known: SourceTable) -> SourceTable:
        """This schema, with what `known` had and this has not any more among its past."""
        kept = {column.attnum for column in self.columns}
        return replace(self, past=(*known.past, *(c for c in known.columns if c.attnum not in kept)))


def named(options: Options, schema: str, name: str) -> SourceTable:
    """A table that need not be in the source any more: what it is called in Kafka and in the lake."""
    namespace = options.get(f"{schema}.{name}", PLAIN).namespace
    return SourceTable(schema, name, (), (), full_identity=False, namespace=namespace)


def namespaces(options: Options) -> list[str]:
    """Where mirrors and changelogs are."""
    return sorted({NAMESPACE, *(each.namespace for each in options.values())})
