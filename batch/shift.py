"""By how many weeks the replay moved TLC's trips to now, told by the mirror itself."""

from __future__ import annotations

from catalog.readers import duckdb_connection, iceberg_catalog
from catalog.settings import SAMPLE, Settings

_WEEKS = """
select mode(cast(round(epoch(moved.pickup_at - true_times.pickup at time zone 'UTC') / 604800) as integer)) as weeks
from iceberg.taxi_cdc.trips as moved
join (
    select parse_filename(filename) as source_file, file_row_number as source_row, tpep_pickup_datetime as pickup
    from read_parquet(?, filename = true, file_row_number = true, union_by_name = true)
) as true_times using (source_file, source_row)
"""
"""New York is a few hours off UTC, so the nearest whole week is right without asking which clock was in force."""


def replay_shift(settings: Settings) -> int | None:
    """Weeks between the trips of the files that ship and their rows in the mirror; None when it has none of them."""
    if not iceberg_catalog(settings).table_exists("taxi_cdc.trips"):
        return None
    with duckdb_connection(settings) as connection:
        found = connection.execute(_WEEKS, [str(SAMPLE / "tlc" / "*.parquet")]).fetchone()
    return found[0] if found else None
