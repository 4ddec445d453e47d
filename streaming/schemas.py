"""The source tables' schemas: from Postgres, persisted beside each mirror, followed when they change."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import structlog

from catalog.errors import ComponentError, SourceError, TableStoppedError
from catalog.options import PLAIN, read_options
from catalog.partition import Partition
from catalog.published import read_source_tables
from catalog.settings import CATALOG, Settings
from catalog.source import SourceTable, namespaces
from catalog.tables.cdc import (
    LEFT_PROPERTY,
    QUARANTINE,
    QUARANTINE_SCHEMA,
    SOURCE_PROPERTY,
    TABLE_PROPERTIES,
    changelog_schema,
    create_table,
    mirror_schema,
)
from streaming.evolution import require_followable, statements
from streaming.history_views import keep_history_view, make_room
from streaming.iceberg import IcebergTable, Lake
from streaming.requests import draining

log = structlog.get_logger()


class SourceSchemas:
    """Reads source schemas and keeps the lake's tables in their shape."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._settings, self._lake = settings, lake
        self.refused: dict[str, SourceError] = {}
        self._making = threading.Lock()

    def read(self) -> tuple[SourceTable, ...]:
        """The published tables: as Postgres has them, or as they were last seen when it does not answer.

        Tables that cannot be mirrored are left out and stand in `refused`.
        """
        self.refused = {}
        try:
            with self._connect() as connection:
                return self._published(connection, self.refused)
        except psycopg.OperationalError as away:
            persisted = self._persisted()
            if not persisted:
                raise ComponentError(
                    f"the source database does not answer ({str(away).strip()}) and no table was ever read",
                    remedy="lake status; lake logs postgres",
                ) from away
            log.warning("source database away, going on with the persisted schemas", tables=len(persisted))
            return persisted

    def _published(self, connection: psycopg.Connection, refused: dict[str, SourceError]) -> tuple[SourceTable, ...]:
        """What is published, and what was until a moment ago."""
        options, leaving = read_options(self._settings), draining(self._settings)
        publication = self._settings.publication
        return read_source_tables(connection, publication, refused, options=options, leaving=leaving)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._settings.source_dsn("cdc"), connect_timeout=5, autocommit=True)

    def _persisted(self) -> tuple[SourceTable, ...]:
        found = []
        names = [
            f"{space}.{row.tableName}"
            for space in namespaces(read_options(self._settings))
            for row in self._lake.spark.sql(f"SHOW TABLES IN {CATALOG}.{space}").collect()
        ]
        for name in names:
            table = self._lake.table(name)
            text = table.property(SOURCE_PROPERTY)
            if text is not None and table.property(LEFT_PROPERTY) is None:
                found.append(SourceTable.from_json(text))
        return tuple(found)

    def leave(self, qualified: str) -> None:
        """Note on a mirror that its source is not followed any more, for when the source cannot be asked."""
        for source in self._persisted():
            if source.qualified == qualified:
                self._lake.table(source.mirror).set_property(LEFT_PROPERTY, datetime.now(UTC).isoformat())

    def create(self, source: SourceTable) -> None:
        """Create the mirror and the changelog of a source table, and their namespace, where they are missing."""
        self._create_namespace(source.namespace)
        make_room(self._lake, source.mirror)
        mirror, changelog = (f"{CATALOG}.{name}" for name in (source.mirror, source.changelog))
        described = {**TABLE_PROPERTIES, SOURCE_PROPERTY: source.to_json()}
        asked = read_options(self._settings).get(source.qualified, PLAIN).partition
        partition = Partition.parse(asked).ddl if asked else ""
        self._lake.create(create_table(mirror, mirror_schema(source), partition=partition, properties=described))
        schema, hours = changelog_schema(source), "hours(committed_at)"
        self._lake.create(create_table(changelog, schema, partition=hours, properties=TABLE_PROPERTIES))

    def create_shared(self) -> None:
        """Create the namespaces and the quarantine where they are missing."""
        for space in namespaces(read_options(self._settings)):
            self._create_namespace(space)
        name = f"{CATALOG}.{QUARANTINE}"
        self._lake.create(create_table(name, QUARANTINE_SCHEMA, partition="days(at)", properties=TABLE_PROPERTIES))

    def _create_namespace(self, name: str) -> None:
        """One at a time: of two that make it at once, a catalog fails one."""
        with self._making:
            self._lake.create(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{name}")

    def follow(self, known: SourceTable, changelog: IcebergTable, mirror: IcebergTable) -> SourceTable | None:
        """Bring both tables to the source's present schema; None when it is the known one.

        Raises TableStoppedError, and ComponentError when Postgres does not answer.
        """
        refused: dict[str, SourceError] = {}
        try:
            with self._connect() as connection:
                tables = self._published(connection, refused)
        except psycopg.OperationalError as away:
            raise ComponentError(
                f"{known.qualified}: an event does not fit and the source database does not answer: {away}",
                remedy="lake status; lake logs postgres",
            ) from away
        present = next((table for table in tables if table.qualified == known.qualified), None)
        if present is None and (reason := refused.get(known.qualified)) is not None:
            raise TableStoppedError(known.qualified, str(reason.args[0]), remedy=reason.remedy)
        if present is None:
            raise TableStoppedError(known.qualified, "it is not in the publication any more")
        present = present.following(known)
        if present == known:
            return None
        require_followable(known, present)
        names_in_lake = (f"{CATALOG}.{known.mirror}", f"{CATALOG}.{known.changelog}")
        for statement in statements(mirror.arrow_schema, changelog.arrow_schema, present, *names_in_lake):
            self._lake.create(statement)
        for table in (mirror, changelog):
            table.refresh()
        mirror.set_property(SOURCE_PROPERTY, present.to_json())
        keep_history_view(self._lake, mirror, present)
        log.info("followed a changed source schema", table=known.qualified)
        return present
