"""`lake`: every command, and how an error ends it."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

import lake.batch  # adds its commands
import lake.bench  # adds its commands
import lake.changes  # adds its commands
import lake.chaos  # adds its commands
import lake.comparison  # adds its commands
import lake.conformance  # adds its commands
import lake.data  # adds its commands
import lake.demo  # adds its commands
import lake.keys  # adds its commands
import lake.maintain  # adds its commands
import lake.models  # adds its commands
import lake.past  # adds its commands
import lake.source  # adds its commands
import lake.stack  # adds its commands
import lake.traffic  # noqa: F401 - adds its commands
from catalog.errors import LakehouseError
from catalog.logging import configure_logging
from lake.app import app


def main() -> None:
    """Run one command; an error of ours ends it with its message and exit code 2."""
    configure_logging()
    try:
        app(prog_name="lake")
    except LakehouseError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", markup=True, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
