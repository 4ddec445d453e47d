"""What other tables refer to: TLC's taxi zones."""

from __future__ import annotations

from catalog.tables.table import Column, Rule, Table, not_null, unique, within

ZONES = 265
UNDRAWN = (57, 104, 105, 264, 265)
"""Zones without a shape: three are drawn as parts of 56 and 103, 264 is unknown and 265 outside of the city."""

TAXI_ZONES = Table(
    namespace="reference",
    name="taxi_zones",
    description="TLC's taxi zones; shape and centroid are null for the five that TLC does not draw.",
    columns=(
        Column("location_id", "int", "TLC's number, 1 to 265", required=True),
        Column("borough", "string", "borough, `EWR` or `Unknown`", required=True),
        Column("zone", "string", "name of the zone; several zones can share it", required=True),
        Column("service_zone", "string", "Yellow Zone, Boro Zone, Airports, EWR or N/A", required=True),
        Column("centroid_latitude", "double", "degrees north, WGS 84, of the centre of area"),
        Column("centroid_longitude", "double", "degrees east, WGS 84, of the centre of area"),
        Column("shape", "string", "GeoJSON geometry, simplified to about 40 m"),
    ),
    key=("location_id",),
    writer="nyc_weather_etl",
    rules=(
        *not_null("location_id", "borough", "zone", "service_zone"),
        unique("location_id"),
        within("location_id", 1, ZONES),
        Rule("every zone is there", f"select count(*) as zones from candidate having count(*) <> {ZONES}"),
        Rule(
            "only the undrawn zones lack a shape",
            f"select location_id, zone from candidate where (shape is null) <> (location_id in {UNDRAWN})",
        ),
        Rule(
            "a shape has a centroid",
            "select location_id, zone from candidate where (shape is null) <> (centroid_latitude is null)"
            " or (shape is null) <> (centroid_longitude is null)",
        ),
        within("centroid_latitude", 40.4, 41.0),
        within("centroid_longitude", -74.3, -73.6),
    ),
)
