"""The taxi zones' own shapes, from the lake, as features that a chart can draw without a map service."""

from __future__ import annotations

import json
import math
from typing import Any

import streamlit as st

from serving.dashboard import charts
from serving.dashboard.lake import client, explained

LATITUDE = math.radians(40.73)
"""Of the city's middle: a degree of longitude is shorter there by its cosine."""
KEPT_SECONDS = 600
Ring = list[list[float]]


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def zones() -> dict[int, dict[str, Any]]:
    """By zone its name, borough and, where it is drawn, GeoJSON geometry in flat degrees of latitude.

    Raises NotFoundError where the weather pipeline has not loaded the zones yet.
    """
    names = ["location_id", "zone", "borough", "shape"]
    rows = client().read_table("reference.taxi_zones", columns=names).to_arrow().to_pylist()
    return {
        row["location_id"]: {
            "zone": row["zone"],
            "borough": row["borough"],
            "geometry": _flat(json.loads(row["shape"])) if row["shape"] else None,
        }
        for row in rows
    }


@explained
def choropleth(values: dict[int, float | None], title: str, value_format: str) -> None:
    """The city's zones by value, or why they cannot be drawn."""
    st.altair_chart(charts.zone_map(features(values), title, value_format), alt=f"map of the zones by {title}")
    away = undrawn(values)
    st.caption("grey: no value" + (f" · {away} zones with a value have no shape" if away else ""))


def features(values: dict[int, float | None]) -> list[dict[str, Any]]:
    """Every drawn zone with its value; None where `values` has none."""
    return [
        {
            "type": "Feature",
            "geometry": known["geometry"],
            "zone": known["zone"],
            "borough": known["borough"],
            "value": values.get(number),
        }
        for number, known in zones().items()
        if known["geometry"]
    ]


def undrawn(values: dict[int, float | None]) -> int:
    """How many zones have a value but no shape."""
    drawn = {number for number, known in zones().items() if known["geometry"]}
    return len([number for number, value in values.items() if value and number not in drawn])


def _flat(geometry: dict[str, Any]) -> dict[str, Any]:
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return {"type": "MultiPolygon", "coordinates": [[_ring(ring) for ring in polygon] for polygon in polygons]}


def _ring(ring: Ring) -> Ring:
    return [[round(longitude * math.cos(LATITUDE), 5), round(latitude, 5)] for longitude, latitude, *_ in ring]
