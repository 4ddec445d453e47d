"""The tables that every run replaces as a whole: where weather is loaded for, and TLC's taxi zones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from batch.control import arrow_schema
from batch.job import Job
from batch.landing import Landed, land
from batch.weather.places import PLACES
from batch.weather.zones import LOOKUP, SHAPES, zones
from catalog.files import s3_files
from catalog.tables.reference import TAXI_ZONES
from catalog.tables.table import Table
from catalog.tables.weather import LOCATIONS


@dataclass(frozen=True)
class Reference:
    """A table with all of its rows, and the file that they come from."""

    table: Table
    rows: pa.Table
    source: str
    sha256: str | None = None


def land_zones(job: Job) -> dict[str, Any]:
    """Land the files of the zones; for a step's result."""
    landed = {}
    for file in (LOOKUP, SHAPES):
        with file.open("rb") as content:
            landed[file.name] = land(job.settings, "zones", file.name, content, f"data/zones/{file.name}").as_json()
    return landed


def references(job: Job, landed: dict[str, Any]) -> list[Reference]:
    """Both tables, the zones from what `land_zones` returned. Raises BatchError when that cannot be read."""
    lookup, shapes = Landed(**landed[LOOKUP.name]), Landed(**landed[SHAPES.name])
    contents = []
    for file in (lookup, shapes):
        with s3_files(job.settings).open_input_stream(file.path) as stream:
            contents.append(stream.read())
    return [
        Reference(LOCATIONS, _rows(LOCATIONS, [asdict(place) for place in PLACES]), "batch/weather/places.py"),
        Reference(TAXI_ZONES, _rows(TAXI_ZONES, zones(*contents)), lookup.origin, lookup.sha256),
    ]


def _rows(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))
