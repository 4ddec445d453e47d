"""Page cursors: signed, opaque to their holder, pinned to the snapshots that the first page was read from."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from serving.api.problems import ProblemError

_SALT = "cursor"


@dataclass(frozen=True)
class Cursor:
    """Where a page ends: the question with its parameters, the snapshot of each table, the last row's order values."""

    question: str
    parameters: Mapping[str, Any]
    snapshots: Mapping[str, int]
    after: Sequence[Any]


class Cursors:
    """Writes and reads cursors; only those signed with the same secret, for the same SQL engine, are read."""

    def __init__(self, secret: str, engine: str = "duckdb") -> None:
        self._serializer = URLSafeSerializer(secret, salt=f"{_SALT} {engine}")

    def write(self, cursor: Cursor) -> str:
        """The cursor as text for a URL."""
        parameters = {name: _packed(value) for name, value in cursor.parameters.items()}
        after = [_packed(value) for value in cursor.after]
        snapshots = {table: str(snapshot) for table, snapshot in cursor.snapshots.items()}
        return str(self._serializer.dumps([cursor.question, parameters, snapshots, after]))

    def read(self, text: str) -> Cursor:
        """What was written. Raises ProblemError for anything else."""
        try:
            question, parameters, snapshots, after = self._serializer.loads(text)
        except (BadData, UnicodeEncodeError) as foreign:
            raise ProblemError("malformed-cursor", "give `next_cursor` of an answer, unchanged") from foreign
        return Cursor(
            question,
            {name: _unpacked(value) for name, value in parameters.items()},
            {table: int(snapshot) for table, snapshot in snapshots.items()},
            [_unpacked(value) for value in after],
        )


def _packed(value: Any) -> Any:
    """A value as JSON that `_unpacked` gives back with its type."""
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [_packed(each) for each in value]
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": Decimal,
    "bytes": base64.b64decode,
}


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        return _READERS[kind](text)
    return value
