"""Becomes `airflow` with the arguments given, in the environment that the stack's own Airflow processes have.

`scripts/airflow` runs it; so do the containers, whose command is one of Airflow's processes.
"""

from __future__ import annotations

import os
import socket
import sys
from urllib.parse import urlsplit

from catalog.errors import ComponentError, LakehouseError
from catalog.settings import Settings, load_settings
from stack import airflow, commands

CONNECT_SECONDS = 5
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")
QUIET = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}


def main(arguments: list[str]) -> None:
    """Become Airflow, or end with exit code 2 and one message."""
    try:
        settings = load_settings()
        variables = {**commands.basic_environment("airflow", settings), **airflow.environment(settings)}
        if arguments[:1] and arguments[0] in SERVICES:
            airflow.prepare(settings)
        else:
            _require_running(settings)
            variables |= QUIET
        program = airflow.binary()
    except LakehouseError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    os.execve(program, [str(program), *arguments], variables)


def _require_running(settings: Settings) -> None:
    address = urlsplit(settings.airflow)
    try:
        socket.create_connection((address.hostname, address.port), timeout=CONNECT_SECONDS).close()
    except OSError as refused:
        raise ComponentError(
            f"Airflow does not answer at {settings.airflow}: {refused}", remedy="scripts/lake up --with airflow"
        ) from refused


if __name__ == "__main__":
    main(sys.argv[1:])
