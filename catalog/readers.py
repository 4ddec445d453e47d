"""Readers that are not the writer: DuckDB and pyiceberg, both on the REST catalog and the S3 store."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from catalog.access import catalog_properties, catalog_secrets, credential, store_secrets
from catalog.errors import ComponentError, ConfigurationError
from catalog.settings import CATALOG, Settings
from catalog.source import NAMESPACE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyiceberg.catalog.rest import RestCatalog

EXTENSIONS = ("avro", "httpfs", "iceberg")
"""In the order in which they must be loaded; each is a wheel of DuckDB's own version."""


def duckdb_connection(settings: Settings, *, threads: int | None = None) -> DuckDBPyConnection:
    """An in-memory DuckDB, in UTC, with the lake attached as `iceberg`, a name that `taxi_cdc.trips` may leave out.

    A namespace that is made later needs the name. A table's name alone is looked for in taxi_cdc first.

    Raises ConfigurationError and ComponentError.
    """
    import duckdb

    connection = duckdb.connect(config={"autoload_known_extensions": False, "autoinstall_known_extensions": False})
    for name in EXTENSIONS:
        connection.execute(f"LOAD {_literal(str(_extension(name, duckdb.__version__)))}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would be drawn into the output of batch steps
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    store = urlsplit(settings.s3)
    secrets = settings.secrets
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID {_literal(secrets.s3_access_key)}, SECRET {_literal(secrets.s3_secret_key)},"
        f" REGION {_literal(settings.s3_region)}, ENDPOINT {_literal(store.netloc)},"
        f" URL_STYLE '{'path' if settings.s3_path_style else 'vhost'}',"
        f" USE_SSL {str(store.scheme == 'https').lower()})"
    )
    try:
        connection.execute(
            f"ATTACH {_literal(settings.catalog_warehouse or '')} AS {CATALOG} (TYPE iceberg,"
            f" ENDPOINT {_literal(settings.catalog)}, ACCESS_DELEGATION_MODE 'none', {_authorization(settings)})"
        )
    except duckdb.Error as refused:
        raise _closed(settings, refused) from refused
    listed = connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE database_name = ?", [CATALOG])
    spaces = sorted((name for (name,) in listed.fetchall()), key=lambda name: (name != NAMESPACE, name))
    path = ["memory.main", *(f'{CATALOG}."{name}"' for name in spaces)]
    connection.execute(f"SET search_path = {_literal(','.join(path))}")
    return connection


def iceberg_catalog(settings: Settings) -> RestCatalog:
    """The REST catalog as pyiceberg sees it. Raises ComponentError when it does not answer."""
    import requests
    from pyiceberg.catalog.rest import RestCatalog
    from pyiceberg.exceptions import OAuthError, RESTError

    try:
        return RestCatalog(
            CATALOG,
            **{
                **catalog_properties(settings),
                **catalog_secrets(settings),
                **store_secrets(settings),
                "s3.endpoint": settings.s3,
                "s3.region": settings.s3_region,
                "s3.force-virtual-addressing": str(not settings.s3_path_style).lower(),
            },
        )
    except (requests.ConnectionError, RESTError, OAuthError) as refused:
        raise _closed(settings, refused) from refused


def _closed(settings: Settings, refused: Exception) -> ComponentError:
    """What it means that the REST catalog could not be opened."""
    if settings.catalog_uri is None:
        return ComponentError(f"the REST catalog at {settings.catalog} does not answer", remedy="lake status; lake up")
    said = (str(refused).strip().splitlines() or [type(refused).__name__])[0][:300]
    return ComponentError(
        f"the REST catalog at {settings.catalog} does not let us in: {said}",
        remedy="lake doctor; correct LAKE_CATALOG_URI, LAKE_CATALOG_WAREHOUSE or LAKE_CATALOG_CREDENTIAL",
    )


def _authorization(settings: Settings) -> str:
    """The options of ATTACH that log in to the REST catalog."""
    if settings.catalog_token is not None:
        return f"TOKEN {_literal(settings.catalog_token.get_secret_value())}"
    if settings.catalog_credential is None:
        return "AUTHORIZATION_TYPE 'none'"
    client_id, secret = credential(settings)
    return (
        f"CLIENT_ID {_literal(client_id)}, CLIENT_SECRET {_literal(secret)},"
        f" OAUTH2_SCOPE {_literal(settings.catalog_scope)},"
        f" OAUTH2_SERVER_URI {_literal(settings.catalog_token_endpoint)}"
    )


def _extension(name: str, version: str) -> Path:
    package = f"duckdb_extension_{name}"
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(f"the Python package {package} is missing", remedy="install the extra: lakehouse[sql]")
    return Path(spec.origin).parent / "extensions" / f"v{version}" / f"{name}.duckdb_extension"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
