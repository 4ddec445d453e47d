"""A model of the stream: a source that writes Debezium records, and tables in memory that commit as Iceberg does.

`source` simulates a table under transactions and is the oracle: what it holds after each record is what the mirror must
hold at that position. `lake` stands for store and REST catalog, `writers` has a mirror as a dict, `runs` applies a
topic in any slicing, with crashes, replays and a second driver, through the stream's own code.
"""
