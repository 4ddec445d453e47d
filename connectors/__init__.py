"""Everything up to Kafka, in reading order.

sql/, source        the source database: tables, roles, publication
topics              Kafka topics, created before anything writes to them
registration        the Debezium connector: configured, registered, RUNNING
tlc, calendar_shift real trips and their way from 2019 to now
plan, replay        the initial load, traffic reproducible by seed, and a backlog for benchmarks
"""
