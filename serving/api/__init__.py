"""The HTTP interface, read-only, over Iceberg tables alone.

In reading order: app (routes put together), heads (which snapshot each table stands at), lake (queries, bounded in
number), by_duckdb and by_trino (who runs them, bounded in time and memory), memory (answers kept by snapshot),
answering (formats, ETag, meta), questions and sql/ (what is asked), routes/ (one module per topic), problems, keys,
access, cursors, metrics.
"""
