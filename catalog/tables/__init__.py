"""The lake's tables: one declaration each, which DDL, loads, verification and readers all read.

TABLES are the declared ones; those that follow a source table (cdc) are shaped by it. Importing this is light.
"""

from catalog.tables.analytics import SURGE_INSIGHT, TRIP_WEATHER_CORRELATION, ZONE_PERFORMANCE_METRICS
from catalog.tables.control import BATCH_RUNS, QUALITY_RESULTS, QUARANTINE
from catalog.tables.ml import DEMAND_FEATURES, DEMAND_PREDICTIONS, FARE_PREDICTIONS
from catalog.tables.nyc_taxi import TRIPS
from catalog.tables.realtime import ALERTS, TRIP_AGGREGATIONS, ZONE_ACTIVITY
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
    TRIP_WEATHER_CORRELATION,
    ZONE_PERFORMANCE_METRICS,
    SURGE_INSIGHT,
    DEMAND_FEATURES,
    DEMAND_PREDICTIONS,
    FARE_PREDICTIONS,
    TRIP_AGGREGATIONS,
    ZONE_ACTIVITY,
    ALERTS,
)
