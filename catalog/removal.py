"""What a source table has in the lake, taken away."""

from __future__ import annotations

from contextlib import suppress

from catalog.readers import iceberg_catalog
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.versions import SUFFIX


def drop_from_lake(settings: Settings, source: SourceTable) -> list[str]:
    """Delete mirror, changelog and history view with all files; returns the names of the tables that were there."""
    from pyiceberg.exceptions import NoSuchTableError, NoSuchViewError

    catalog, dropped = iceberg_catalog(settings), []
    with suppress(NoSuchViewError, NotImplementedError):  # not every REST catalog holds views
        catalog.drop_view(f"{source.mirror}{SUFFIX}")
    for table in (source.mirror, source.changelog):
        with suppress(NoSuchTableError):
            catalog.purge_table(table)
            dropped.append(table)
    return dropped
