"""TLC's taxi zones: names from its lookup file, shapes from GeoJSON, centroids from the shapes."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from shapely.geometry import shape

from catalog.errors import BatchError
from catalog.settings import SAMPLE

LOOKUP = SAMPLE / "zones" / "taxi_zone_lookup.csv"
SHAPES = SAMPLE / "zones" / "taxi_zones.geojson"


def zones(lookup: bytes, shapes: bytes) -> list[dict[str, Any]]:
    """Rows of reference.taxi_zones. Raises BatchError when a file is not what TLC publishes."""
    try:
        geometries = {feature["id"]: feature["geometry"] for feature in json.loads(shapes)["features"]}
        named = list(csv.DictReader(io.StringIO(lookup.decode("utf-8-sig"))))
        return [_zone(row, geometries.get(int(row["LocationID"]))) for row in named]
    except (KeyError, TypeError, ValueError) as broken:
        raise BatchError(
            f"the zones cannot be read: {broken!r}", remedy=f"restore {LOOKUP.name} and {SHAPES.name} as they ship"
        ) from broken


def _zone(row: dict[str, str], geometry: dict[str, Any] | None) -> dict[str, Any]:
    centroid = shape(geometry).centroid if geometry else None
    return {
        "location_id": int(row["LocationID"]),
        "borough": row["Borough"],
        "zone": row["Zone"],
        "service_zone": row["service_zone"],
        "centroid_latitude": centroid.y if centroid else None,
        "centroid_longitude": centroid.x if centroid else None,
        "shape": json.dumps(geometry, separators=(",", ":")) if geometry else None,
    }
