"""`python -m batch DATASET STEP --run ID`: run one step; its result is the last line of standard output, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from batch.job import Job, Run
from batch.steps import STEPS, run
from catalog.errors import ComponentError, LakehouseError, UnavailableError
from catalog.logging import configure_logging
from catalog.settings import load_settings

REFUSED, TRY_AGAIN = 2, 75
"""Exit codes: the same step would be refused again, or may go well later (`EX_TEMPFAIL` of sysexits.h)."""


def main(arguments: Sequence[str] | None = None, *, submitted: bool = False) -> None:
    """Run the step that the arguments name. An error of ours ends with its message and an exit code that says more."""
    given = _parser().parse_args(arguments)
    configure_logging()
    interval = [datetime.fromisoformat(text).astimezone(UTC) if text else None for text in (given.start, given.end)]
    options = dict(option.partition("=")[::2] for option in given.option)
    try:
        of_run = Run(given.run, interval[0], interval[1], given.trigger, options)
        result = run(Job(load_settings(), of_run, f"{given.dataset} {given.step}", submitted=submitted))
    except LakehouseError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(TRY_AGAIN if isinstance(error, ComponentError | UnavailableError) else REFUSED)
    sys.stdout.write(json.dumps(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batch", description="Run one step of a batch load.")
    parser.add_argument("dataset", choices=sorted({name.split()[0] for name in STEPS}))
    parser.add_argument("step", help=", ".join(STEPS))
    parser.add_argument("--run", required=True, help="DAG_ID/RUN_ID; the steps of one run share it")
    parser.add_argument("--start", default="", help="begin of the run's interval, ISO 8601")
    parser.add_argument("--end", default="", help="end of the run's interval, ISO 8601, not included")
    parser.add_argument("--trigger", default="manual", help="manual, scheduled, backfill or asset_triggered")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="the step's own, repeatable"
    )
    return parser


if __name__ == "__main__":
    main()
