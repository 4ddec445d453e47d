"""The HTTP interface, read-only, over Iceberg tables alone.

In reading order: app (routes put together), heads (which snapshot each table stands at), lake (DuckDB, bounded in time
and number), memory (answers kept by snapshot), answering (formats, ETag, meta), questions/ (one module per topic),
problems, keys, limits, cursors, metrics.
"""
