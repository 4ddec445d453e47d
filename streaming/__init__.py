"""Kafka to Iceberg: every change event once into the changelog, the mirror equal to the source table.

Reading order: `values`, `reading` and `envelope` (Kafka records to change events), `folding` (events of a slice to one
change per key), `keys` (where a key's row is), `puffin` (deletion vectors), `iceberg` (commits that carry a position),
`changelog`, `mirror` and `quarantine` (the three writers), `merging` (small files between epochs), `copying` (resync),
`table` (one source table's epoch), `audit` (is the topic what it was), `driver` (the streaming query).
"""
