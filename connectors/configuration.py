"""The connector's configuration: a JSON file with places that settings and the publication fill."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from catalog.options import PLAIN, Manner, Options, read_options
from catalog.pseudonyms import mask_property
from catalog.settings import Settings

TEMPLATE = Path(__file__).parent / "connector.json"
SECRETS_FILE = "connect-secrets.properties"
"""Beside the worker's configuration; the worker reads `cdc.password` from it: Kafka never holds the password."""


def connector_configuration(settings: Settings, tables: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The configuration that captures these tables, given as (schema, name), without the columns to be withheld.

    Debezium takes the key of pseudonyms as a part of a setting's name, where Connect fills in no secrets.
    """
    host, port = settings.source_address
    own_file = f"${{file:{settings.state_dir / 'config' / SECRETS_FILE}:cdc.password}}"
    values = {
        "HOST": host,
        "PORT": str(port),
        "DATABASE": settings.source_database,
        "PASSWORD": settings.connect_cdc_password or own_file,
        "SSLMODE": settings.source_sslmode,
        "REPLICATION": str(settings.kafka_replication),
        "SLOT": settings.slot,
        "PUBLICATION": settings.publication,
        "PREFIX": settings.topic_prefix,
        "PREFIX_REGEX": re.escape(settings.topic_prefix),
        "TABLES": ",".join(f"{_literal(schema)}\\.{_literal(table)}" for schema, table in tables),
    }
    template: dict[str, str] = json.loads(TEMPLATE.read_text())
    if settings.source_ca_file is not None:
        template["database.sslrootcert"] = str(settings.source_ca_file)
    noted = read_options(settings)
    if withheld := _columns(noted, tables, ("exclude", "null")):
        template["column.exclude.list"] = withheld
    if masked := _columns(noted, tables, ("hash",)):
        template[mask_property(settings.secrets.pseudonym_key)] = masked
    return {key: re.sub(r"@([A-Z_]+)@", lambda place: values[place[1]], text) for key, text in template.items()}


def _columns(noted: Options, tables: Sequence[tuple[str, str]], manners: Sequence[Manner]) -> str:
    """The connector's list of columns that are withheld in these manners."""
    names = [
        (*table, column)
        for table in tables
        for column, rule in sorted(noted.get(".".join(table), PLAIN).columns.items())
        if rule.manner in manners
    ]
    return ",".join("\\.".join(map(_literal, name)) for name in names)


def _literal(name: str) -> str:
    """A name inside the connector's list of regular expressions, where a comma separates."""
    return re.escape(name).replace(",", "\\x2c")
