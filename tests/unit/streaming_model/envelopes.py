"""Records for tests of single events: captured ones from `events/`, and hand-made ones of one small table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from catalog.source import SourceColumn, SourceTable

EVENTS = Path(__file__).parent.parent / "events"


def columns(*described: tuple[str, str]) -> tuple[SourceColumn, ...]:
    """Columns from (name, Postgres type)."""
    return tuple(SourceColumn(name, number, kind, False, False) for number, (name, kind) in enumerate(described, 1))


def table(*described: tuple[str, str], key: tuple[str, ...] = ("id",), full: bool = True) -> SourceTable:
    """A table `public.things`."""
    return SourceTable("public", "things", columns(*described), key, full)


def records(*values: Any, keys: list[bytes | None] | None = None, start: int = 0) -> pa.Table:
    """A slice of one partition; values that are not bytes are written as JSON."""
    written = [value if value is None or isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return pa.table(
        {
            "partition": pa.array([0] * len(values), pa.int32()),
            "offset": pa.array(range(start, start + len(values)), pa.int64()),
            "key": pa.array(keys if keys is not None else [b"{}"] * len(values), pa.binary()),
            "value": pa.array(written, pa.binary()),
        }
    )


def envelope(op: str, before: Any = None, after: Any = None, **source: Any) -> dict[str, Any]:
    """An envelope of `public.things`; keywords replace parts of its `source`."""
    facts = {"schema": "public", "table": "things", "lsn": 20, "txId": 7, "ts_us": 1_000_000, "snapshot": "false"}
    return {"op": op, "before": before, "after": after, "source": {**facts, "sequence": '["10","20"]', **source}}


def captured(name: str) -> pa.Table:
    """Records that a real connector wrote, offsets as they were."""
    found = json.loads((EVENTS / f"{name}.json").read_text())
    places = [event["offset"] for event in found]
    parts = records(
        *[event["value"] for event in found],
        keys=[None if event["key"] is None else json.dumps(event["key"]).encode() for event in found],
    )
    return parts.set_column(1, "offset", pa.array(places, pa.int64()))
