"""Every error of the lakehouse, in one tree.

    LakehouseError
    ├── ConfigurationError      settings, ports, missing programs: nothing was started
    ├── ComponentError          a component (Postgres, Kafka, Connect, store, REST catalog, Spark) does not answer
    ├── SourceError             the source database is not as the lakehouse needs it
    ├── UnsupportedTypeError    a Postgres type that cannot be held without loss
    ├── TableStoppedError       one table must not go on; the others do
    ├── StaleSnapshotError      the table moved since it was read: read again and plan again
    ├── HistoryError            a table, snapshot or time that the lake does not hold
    ├── QueryError              a query that an engine refused
    ├── BatchError              a batch step cannot do its work: its input, or a step before it, is not as it must be
    │   ├── UnavailableError    what it asked for did not come; the same step may go well later
    │   └── QualityError        rows that were to be published break a rule; nothing was published
    └── VerificationError       a table could not be compared (not: it differs)

A message says what failed, on what, and what to do now; `remedy` holds the last part.
"""

from __future__ import annotations


class LakehouseError(Exception):
    """The root. `remedy` is the command or the step that mends it."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  → {self.remedy}" if self.remedy else message


class ConfigurationError(LakehouseError):
    """A setting, a port, a program or a file is wrong or missing."""


class ComponentError(LakehouseError):
    """A component does not answer as it should."""


class SourceError(LakehouseError):
    """The source database lacks something that change data capture needs."""


class UnsupportedTypeError(SourceError):
    """A column's type has no lossless Iceberg type."""


class TableStoppedError(LakehouseError):
    """One table cannot be brought further without a decision; `table` names it."""

    def __init__(self, table: str, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{table}: {message}", remedy=remedy or f"lake resync {table}")
        self.table = table


class StaleSnapshotError(LakehouseError):
    """A commit was refused because the table moved on since its snapshot was read. Nothing was written."""


class VerificationError(LakehouseError):
    """A table could not be compared with its source."""


class HistoryError(LakehouseError):
    """A table, snapshot or time that the lake does not hold."""


class QueryError(LakehouseError):
    """An engine refused a query."""


class BatchError(LakehouseError):
    """A batch step cannot do its work."""


class UnavailableError(BatchError):
    """What a batch step asked others for did not come."""


class QualityError(BatchError):
    """Rows to be published break an error-level rule. Nothing was published."""
