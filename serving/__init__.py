"""What people and programs see of the lake. In reading order: rows (what answers hold), api (HTTP over Iceberg),
client (Python over that HTTP).
"""
