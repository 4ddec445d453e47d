"""The lake's tables: one declaration each, which DDL, loads, verification and readers all read.

TABLES are the declared ones; those that follow a source table (cdc) are shaped by it. Importing this is light.
"""

from catalog.tables.control import BATCH_RUNS, QUALITY_RESULTS, QUARANTINE
from catalog.tables.nyc_taxi import TRIPS
from catalog.tables.reference import TAXI_ZONES
from catalog.tables.table import Table
from catalog.tables.weather import HOURLY_WEATHER, LOCATIONS

TABLES: tuple[Table, ...] = (
    BATCH_RUNS,
    QUALITY_RESULTS,
    QUARANTINE,
    TRIPS,
    HOURLY_WEATHER,
    LOCATIONS,
    TAXI_ZONES,
)
