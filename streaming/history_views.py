"""The view `<mirror>_history` beside each mirror, in the REST catalog: one text for Spark and one for Trino."""

from __future__ import annotations

from hashlib import sha256

import structlog
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from catalog.settings import CATALOG
from catalog.source import SourceTable
from catalog.versions import SUFFIX, Versions
from streaming.iceberg import IcebergTable, Lake

log = structlog.get_logger()

_MADE_FROM = "lake.made-from"


def keep_history_view(lake: Lake, mirror: IcebergTable, source: SourceTable) -> None:
    """Make the view, or replace it where it was made of other columns than the mirror's present ones.

    A REST catalog that holds no views is told of in the log, and the table goes on.
    Rows without a key have none.
    """
    if not source.key:
        return
    versions = Versions(source.changelog, source.key, tuple(mirror.arrow_schema.names))
    place, catalog = lake.place(versions.view), lake.catalog
    texts = {"spark": versions.sql("`"), "trino": versions.sql('"')}
    made_from = sha256(f"{texts}\n{mirror.arrow_schema}".encode()).hexdigest()  # a widened column is in no text
    try:
        if catalog.tableExists(place):
            log.warning("no history view: a source table has its name", table=source.qualified, view=versions.view)
            return
        if catalog.viewExists(place) and catalog.loadView(place).properties().get(_MADE_FROM) == made_from:
            return
        schema = lake.package.spark.SparkSchemaUtil.convert(lake.spark.sql(texts["spark"])._jdf.schema())
        builder = catalog.buildView(place).withSchema(schema).withDefaultCatalog(CATALOG)
        builder = builder.withDefaultNamespace(place.namespace()).withProperty(_MADE_FROM, made_from)
        for dialect, text in texts.items():
            builder = builder.withQuery(dialect, text)
        builder.createOrReplace()
    except (Py4JError, PySparkException) as refused:
        reason = str(refused).split("\n")[0][:300]
        log.warning("no history view", table=source.qualified, view=versions.view, reason=reason)


def make_room(lake: Lake, identifier: str) -> None:
    """Drop the view that has a mirror's name: a source table may be called as another's history is."""
    if identifier.endswith(SUFFIX) and lake.catalog.viewExists(lake.place(identifier)):
        lake.catalog.dropView(lake.place(identifier))
