"""Passwords and keys of the embedded stack: generated once, in a file that only its owner may read."""

from __future__ import annotations

import json
import os
import secrets as random
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from catalog.errors import ConfigurationError

FILE_NAME = "secrets.json"


def _generated() -> str:
    return random.token_hex(20)


class Secrets(BaseModel):
    """One field per login. `postgres` is the superuser, `taxi` owns the source, `cdc` only replicates and reads.

    `airflow_admin` is for people, `airflow_database` for Airflow's role; from `airflow_key` its tokens and encryption
    derive; `spark_key` is what the embedded Spark master, its worker and its jobs know each other by; `api_cursor_key`
    signs the API's page cursors; `dashboard_key` is the secret of the dashboard's API key; `pseudonym_key` makes
    the pseudonyms of masked columns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    postgres: str = Field(default_factory=_generated, repr=False)
    taxi: str = Field(default_factory=_generated, repr=False)
    cdc: str = Field(default_factory=_generated, repr=False)
    catalog: str = Field(default_factory=_generated, repr=False)
    s3_access_key: str = Field(default_factory=_generated, repr=False)
    s3_secret_key: str = Field(default_factory=_generated, repr=False)
    airflow_admin: str = Field(default_factory=_generated, repr=False)
    airflow_database: str = Field(default_factory=_generated, repr=False)
    airflow_key: str = Field(default_factory=_generated, repr=False)
    spark_key: str = Field(default_factory=_generated, repr=False)
    api_cursor_key: str = Field(default_factory=_generated, repr=False)
    dashboard_key: str = Field(default_factory=_generated, repr=False)
    pseudonym_key: str = Field(default_factory=_generated, repr=False)


def load_secrets(state_dir: Path) -> Secrets:
    """Read the secrets of this state folder; generate and save those that are missing.

    Raises ConfigurationError for a file that this version cannot read.
    """
    path = state_dir / FILE_NAME
    known = json.loads(path.read_text()) if path.exists() else {}
    if unknown := known.keys() - Secrets.model_fields.keys():
        raise ConfigurationError(
            f"{path} holds {', '.join(sorted(unknown))}: a later version of the lakehouse wrote it",
            remedy="use that version, or another LAKE_STATE_DIR",
        )
    loaded = Secrets(**known)
    if loaded.model_dump() != known:
        state_dir.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(loaded.model_dump_json(indent=2))
        partial.rename(path)
    return loaded
