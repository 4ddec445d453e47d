"""What tables exist and where they live.

Reading order: `settings` and `secrets` (where everything is), `errors`, `types` (Postgres to Iceberg),
`source` (tables as Postgres describes them), `tables` (the lake's tables), `session` (Spark, DuckDB and
pyiceberg on the lake), `history` and `verification` (what the lake held, and that it equals the source).
"""
