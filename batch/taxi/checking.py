"""What is held against a file as a whole, beside the table's rules for its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import mean

from batch.quality import Finding
from batch.taxi.months import Month
from batch.taxi.tlc_file import TlcFile
from catalog.tables.nyc_taxi import FEW_QUARANTINED, KNOWN_COLUMNS, ROWS_LIKE_NEIGHBOURS

_BAND = (0.5, 2.0)
"""Times the mean of the neighbouring months. Only April 2020 and the months around it fell out of it."""


def about_the_file(
    month: Month, file: TlcFile, reasons: Mapping[str, int], rows_of: Mapping[Month, int]
) -> list[Finding]:
    """The rows set aside, by reason, the columns that nobody knows, and the rows beside the neighbouring months'."""
    return [
        Finding(FEW_QUARANTINED, file.rows, sum(reasons.values()), json.dumps(reasons) if reasons else None),
        Finding(KNOWN_COLUMNS, file.rows, *_all_or_none(file, bool(file.unknown), file.unknown)),
        _like_neighbours(month, file, rows_of),
    ]


def _like_neighbours(month: Month, file: TlcFile, rows_of: Mapping[Month, int]) -> Finding:
    neighbours = {str(near): rows_of[near] for near in (month.moved(-1), month.moved(1)) if near in rows_of}
    usual = mean(neighbours.values()) if neighbours else file.rows
    odd = not _BAND[0] * usual <= file.rows <= _BAND[1] * usual
    return Finding(ROWS_LIKE_NEIGHBOURS, file.rows, *_all_or_none(file, odd, {**neighbours, str(month): file.rows}))


def _all_or_none(file: TlcFile, broken: bool, told: object) -> tuple[int, str | None]:
    """Breaches and sample of a rule that a file keeps or breaks as a whole."""
    return (file.rows, json.dumps(told)) if broken else (0, None)
