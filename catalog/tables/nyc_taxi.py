"""Yellow-taxi trips as the Taxi and Limousine Commission (TLC) publishes them, month by month, at their true dates.

What TLC's columns mean: https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_yellow.pdf
"""

from __future__ import annotations

from catalog.tables.table import Column, Table

_DOLLARS = "decimal(10, 2)"

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
)
