"""Yellow-taxi trips: TLC's monthly Parquet files into nyc_taxi.trips, one month after the other.

steps                     extract → validate → load → record: the DAG's tasks
months, source, download  which months a run is about, where their files are, and fetching them
columns, values, tlc_file a file by its own footer: names, checked casts, exact row numbers
splitting, trips.sql      TLC's rows as ours: what is published with which flags, what is set aside and why
"""
