"""The places that weather is loaded for."""

from __future__ import annotations

from dataclasses import dataclass

CENTRAL_PARK = 1
"""The record's station; it stands for Manhattan too."""
_STATION = "NOAA's Global Historical Climatology Network, station USW00094728"
_CENTRE = "centre of area of TLC's zones, data/zones"


@dataclass(frozen=True, slots=True)
class Place:
    """A row of weather.locations."""

    location_id: int
    name: str
    latitude: float
    longitude: float
    borough: str
    coordinates_from: str = _CENTRE


PLACES = (
    Place(CENTRAL_PARK, "Central Park", 40.7789, -73.9692, "Manhattan", _STATION),
    Place(2, "Bronx", 40.8526, -73.8665, "Bronx"),
    Place(3, "Brooklyn", 40.6455, -73.9498, "Brooklyn"),
    Place(4, "Queens", 40.7055, -73.8192, "Queens"),
    Place(5, "Staten Island", 40.5808, -74.1534, "Staten Island"),
    Place(6, "LaGuardia Airport", 40.7744, -73.8736, "Queens"),
    Place(7, "JFK Airport", 40.6469, -73.7865, "Queens"),
    Place(8, "Newark Airport", 40.6919, -74.174, "EWR"),
)
