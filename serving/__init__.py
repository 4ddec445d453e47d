"""What people and programs see of the lake. In reading order: rows and status (what answers hold), api (HTTP over
Iceberg), client (Python over that HTTP), dashboard (pages over that client).
"""
