"""Yellow-taxi trips as the Taxi and Limousine Commission (TLC) publishes them, month by month, at their true dates.

What TLC's columns mean: https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_yellow.pdf
"""

from __future__ import annotations

from dataclasses import replace

from catalog.tables.table import Column, Rule, Table, near_median, no_row, not_null, refers_to, unique, within

_DOLLARS = "decimal(10, 2)"
_SAME_TRIP = (
    "vendor_id",
    "pickup_at",
    "dropoff_at",
    "pickup_location_id",
    "dropoff_location_id",
    "trip_distance",
    "total_amount",
)

TRIPS = Table(
    namespace="nyc_taxi",
    name="trips",
    description="One row per row of a TLC file, refunds and odd trips included; year and month are the file's.",
    columns=(
        Column("vendor_id", "int", "who delivered the record; TLC's own rows hold ids that its dictionary lacks"),
        Column("pickup_at", "timestamp_ntz", "meter on, New York local time", required=True),
        Column("dropoff_at", "timestamp_ntz", "meter off, New York local time"),
        Column("passenger_count", "int", "as the driver entered it"),
        Column("trip_distance", "decimal(8, 2)", "miles, by the meter"),
        Column("rate_code_id", "int", "1 standard, 2 JFK, 3 Newark, 4 Nassau or Westchester, 5 negotiated, 6 group"),
        Column("store_and_fwd_flag", "string", "Y: held in the vehicle's memory before it was sent"),
        Column("pickup_location_id", "int", "taxi zone, 264 unknown, 265 outside of the city", required=True),
        Column("dropoff_location_id", "int", "taxi zone, 264 unknown, 265 outside of the city"),
        Column("payment_type", "int", "1 card, 2 cash, 3 no charge, 4 dispute, 5 unknown, 6 voided"),
        Column("fare_amount", _DOLLARS, "US dollars by time and distance; negative where money went back"),
        Column("extra", _DOLLARS, "US dollars for rush hour and night"),
        Column("mta_tax", _DOLLARS, "US dollars"),
        Column("tip_amount", _DOLLARS, "US dollars, of card payments only"),
        Column("tolls_amount", _DOLLARS, "US dollars"),
        Column("improvement_surcharge", _DOLLARS, "US dollars"),
        Column("total_amount", _DOLLARS, "US dollars, without tips in cash"),
        Column("congestion_surcharge", _DOLLARS, "US dollars, from 2019 on"),
        Column("airport_fee", _DOLLARS, "US dollars, from 2021 on"),
        Column("cbd_congestion_fee", _DOLLARS, "US dollars for the congestion relief zone, from 2025 on"),
        Column("flags", "array<string>", "what is odd about the row, see batch/taxi/trips.sql; empty where nothing is"),
        Column("source_file", "string", "TLC's file", required=True),
        Column("source_row", "bigint", "row in the file, counted from 0", required=True),
        Column("year", "int", "of the file", required=True),
        Column("month", "int", "of the file, 1 to 12", required=True),
    ),
    key=("source_file", "source_row"),
    partition=("year", "month"),
    interval=("year", "month"),
    writer="nyc_taxi_iceberg_etl",
    rules=(
        *not_null("pickup_at", "pickup_location_id"),
        *not_null("dropoff_at", "fare_amount", "total_amount", severity="warning"),
        *not_null("passenger_count", severity="warning", tolerance=0.1),
        unique("source_file", "source_row"),
        replace(unique(*_SAME_TRIP, severity="warning", tolerance=0.001), name="every trip once"),
        within("pickup_location_id", 1, 265),
        within("dropoff_location_id", 1, 265),
        refers_to("pickup_location_id", "reference.taxi_zones", "location_id"),
        refers_to("dropoff_location_id", "reference.taxi_zones", "location_id"),
        within("trip_distance", 0, 200, severity="warning", tolerance=0.001),
        within("fare_amount", -500, 1000, severity="warning", tolerance=0.0001),
        near_median("fare_amount", 20, tolerance=0.005),
        near_median("trip_distance", 20, tolerance=0.02),
        no_row(
            "few odd durations and speeds",
            "arrays_overlap(flags, array('duration_not_positive', 'duration_over_a_day', 'impossible_speed'))",
            severity="warning",
            tolerance=0.01,
        ),
    ),
)

FEW_QUARANTINED = Rule("few rows set aside", "", "error", 0.05)
KNOWN_COLUMNS = Rule("every column is known", "", "warning")
ROWS_LIKE_NEIGHBOURS = Rule("as many rows as the neighbouring months", "", "warning")
"""Rules for a file as a whole, which has no query: batch/taxi/checking.py holds them against it."""
