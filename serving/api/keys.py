"""API keys: who may ask what, until when. Only a hash of a key is kept, in a SQLite file of the state folder.

A key reads `lake_<id>_<secret>`. Its secret has 256 random bits, so one SHA-256 keeps it; a slow hash protects only
what people chose.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from catalog.errors import ConfigurationError

FILE_NAME = "api-keys.sqlite"
PREFIX = "lake"
DASHBOARD = "dashboard"
"""Id of the dashboard's key."""
_TABLE = """
create table if not exists keys (
    id text primary key, name text not null, scopes text not null, hash blob not null,
    created_at text not null, expires_at text, revoked_at text
)
"""


class Scope(StrEnum):
    """What a key may read."""

    ANALYTICS = "analytics"
    """Dashboard, trips, analytics, predictions and activity."""
    TABLES = "tables"
    """Every table of the lake, row by row."""
    OPERATIONS = "operations"
    """Quality and the state of the pipeline."""


@dataclass(frozen=True)
class Key:
    """A key without its secret. Times are UTC; None: never."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it may be used at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Keys:
    """The keys of one state folder. Several processes may use them at once; each call sees what others did."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME
        state_dir.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._open() as database:
            database.execute(_TABLE)

    def create(self, name: str, scopes: frozenset[Scope], expires_at: datetime | None = None) -> tuple[Key, str]:
        """Add a key; the second of the two is the key itself, which nothing can show again."""
        secret, key_id = secrets.token_hex(32), secrets.token_hex(4)
        key = Key(key_id, name, scopes, datetime.now(UTC), expires_at, None)
        row = (
            key.id,
            key.name,
            " ".join(sorted(scopes)),
            sha256(secret.encode()).digest(),
            key.created_at.isoformat(),
            expires_at.isoformat() if expires_at else None,
        )
        with self._open() as database:
            database.execute("insert into keys values (?, ?, ?, ?, ?, ?, null)", row)
        return key, written(key_id, secret)

    def ensure(self, key_id: str, secret: str, scopes: frozenset[Scope]) -> None:
        """Have a key of that id, named as it, which does not end. One that was revoked stays revoked."""
        row = (
            key_id,
            key_id,
            " ".join(sorted(scopes)),
            sha256(secret.encode()).digest(),
            datetime.now(UTC).isoformat(),
        )
        statement = (
            "insert into keys values (?, ?, ?, ?, ?, null, null)"
            " on conflict (id) do update set scopes = excluded.scopes, hash = excluded.hash"
        )
        with self._open() as database:
            database.execute(statement, row)

    def revoke(self, key_id: str) -> Key:
        """End a key at once. Raises ConfigurationError for an id that no key has."""
        now = datetime.now(UTC).isoformat()
        with self._open() as database:
            database.execute("update keys set revoked_at = coalesce(revoked_at, ?) where id = ?", (now, key_id))
            row = database.execute("select * from keys where id = ?", (key_id,)).fetchone()
        if row is None:
            raise ConfigurationError(f"there is no API key {key_id}", remedy="lake keys list")
        return _key(row)

    def listed(self) -> list[Key]:
        """All keys, oldest first, ended ones too."""
        with self._open() as database:
            return [_key(row) for row in database.execute("select * from keys order by created_at, id")]

    def is_valid(self, key_id: str) -> bool:
        """Whether a key that was let in still is."""
        with self._open() as database:
            row = database.execute("select * from keys where id = ?", (key_id,)).fetchone()
        return row is not None and _key(row).is_valid(datetime.now(UTC))

    def find(self, text: str) -> Key | None:
        """The key that was presented, valid or not; None where the text is none of ours."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != PREFIX or not secret:
            return None
        with self._open() as database:
            row = database.execute("select * from keys where id = ?", (key_id,)).fetchone()
        known = row[3] if row else bytes(32)
        matches = hmac.compare_digest(known, sha256(secret.encode()).digest())
        return _key(row) if row and matches else None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=10)
        try:
            with database:
                yield database
        finally:
            database.close()


def written(key_id: str, secret: str) -> str:
    """A key as it is presented."""
    return f"{PREFIX}_{key_id}_{secret}"


def _key(row: tuple[str, str, str, bytes, str, str | None, str | None]) -> Key:
    key_id, name, scopes, _, created, expires, revoked = row
    return Key(
        key_id,
        name,
        frozenset(Scope(scope) for scope in scopes.split()),
        datetime.fromisoformat(created),
        datetime.fromisoformat(expires) if expires else None,
        datetime.fromisoformat(revoked) if revoked else None,
    )
