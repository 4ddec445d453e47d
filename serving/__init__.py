"""What people and programs see of the lake. In reading order: api (HTTP over Iceberg), client (Python over that HTTP)."""
