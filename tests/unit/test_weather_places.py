"""Which days a run loads, and where weather is loaded for."""

import json
from datetime import UTC, date, datetime

import pytest
from shapely.geometry import shape
from shapely.ops import unary_union

from batch.job import Run
from batch.weather.places import PLACES
from batch.weather.plan import own_piece
from batch.weather.zones import LOOKUP, SHAPES, zones
from catalog.errors import BatchError
from catalog.tables.reference import UNDRAWN

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
AIRPORTS = {"LaGuardia Airport": 138, "JFK Airport": 132, "Newark Airport": 1}


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("run", "days", "known_until"),
    [
        (Run("by hand"), (20, 23), at(21, 9)),
        (Run("at a point of a schedule", at(21, 8), at(21, 8)), (20, 23), at(21, 8)),
        (Run("an hour", at(21, 7), at(21, 8)), (21, 23), at(21, 8)),
        (Run("before midnight", at(20, 23), at(21, 0)), (20, 22), at(21, 0)),
        (Run("days", at(3, 0), at(6, 0)), (3, 7), at(6, 0)),
        (Run("an interval that is not over", at(21, 0), at(22, 0)), (21, 23), at(21, 9)),
    ],
)
def test_a_run_loads_its_interval_and_two_days_more_as_forecast(run, days, known_until):
    piece = own_piece(run, NOW)
    assert (piece.first, piece.last) == (date(2026, 11, days[0]), date(2026, 11, days[1]))
    assert piece.known_until == known_until


def test_every_zone_has_a_name_and_all_but_five_a_centroid_inside_their_bounds():
    found = zones(LOOKUP.read_bytes(), SHAPES.read_bytes())
    assert [zone["location_id"] for zone in found] == list(range(1, 266))
    assert [zone["location_id"] for zone in found if zone["shape"] is None] == list(UNDRAWN)
    assert all((zone["shape"] is None) == (zone["centroid_latitude"] is None) for zone in found)
    for zone in found:
        if zone["shape"]:
            west, south, east, north = shape(json.loads(zone["shape"])).bounds
            assert west < zone["centroid_longitude"] < east
            assert south < zone["centroid_latitude"] < north


def test_a_centroid_is_weighted_by_area_holes_and_parts_included():
    square = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
    hole = [[1, 0.5], [1.5, 0.5], [1.5, 1.5], [1, 1.5], [1, 0.5]]
    far = [[10, 0], [10.5, 0], [10.5, 1], [10, 1], [10, 0]]
    geometry = {"type": "MultiPolygon", "coordinates": [[square, hole], [far]]}
    drawn = json.dumps({"features": [{"id": 1, "geometry": geometry}]}).encode()
    (zone,) = zones(b"LocationID,Borough,Zone,service_zone\n1,B,Z,S\n", drawn)
    assert zone["centroid_longitude"] == pytest.approx((4 * 1 - 0.5 * 1.25 + 0.5 * 10.25) / 4)
    assert zone["centroid_latitude"] == pytest.approx((4 * 1 - 0.5 * 1 + 0.5 * 0.5) / 4)


@pytest.mark.parametrize(
    ("lookup", "shapes"), [(b"LocationID,Borough\n1,Queens\n", b'{"features": []}'), (b"", b"<html>")]
)
def test_files_of_another_shape_are_refused(lookup, shapes):
    with pytest.raises(BatchError, match="the zones cannot be read"):
        zones(lookup, shapes)


def test_places_lie_at_the_centre_of_their_borough_or_airport():
    found = zones(LOOKUP.read_bytes(), SHAPES.read_bytes())
    for place in PLACES[1:]:
        only = AIRPORTS.get(place.name)
        drawn = [
            shape(json.loads(zone["shape"]))
            for zone in found
            if zone["shape"] and (zone["location_id"] == only if only else zone["borough"] == place.borough)
        ]
        centre = unary_union(drawn).centroid
        assert (centre.y, centre.x) == (
            pytest.approx(place.latitude, abs=1e-3),
            pytest.approx(place.longitude, abs=1e-3),
        )
