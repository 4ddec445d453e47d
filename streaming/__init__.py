"""Kafka to Iceberg: every change event once into the changelog, the mirror equal to the source table.

Reading order. Pure: `values`, `reading`, `envelope` (Kafka records to change events), `segments` (initial copies told
from the stream), `folding` (events to one change per key), `keys` (where a key's row is), `puffin` (deletion vectors),
`evolution` (changed source schemas). Writing: `store`, `iceberg` (commits that carry a position), `writer`,
`changelog`, `mirror`, `quarantine`, `merging` (small files), `retention` (old snapshots). Running: `table` (one source
table's epoch), `epoch`, `audit` (is the topic what it was), `opening`, `driver` (the streaming query), `errands` with
`requests`, `copying` (resync) and `replaying` (what commands ask for), `status`. Behind the mirror: `differences` (what
came and went between two of its snapshots), `windows` (summed by window), `activity` (the hour before), `daily` (tables
of one file per day), `realtime` (one step), `fares`, `alerts`, `webhook` and `watching` (what is unusual), `following`
(the thread that does it).
"""
