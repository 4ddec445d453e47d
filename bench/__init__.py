"""Figures on real components: `apply` compares writers of the mirror, `drain` times a backlog through the whole chain,
`api` asks the served lake.

Reading order: `accounting` (CPU and memory by process), `machine` (what they were taken on), `trips` (rows and
changes), `writers` (key lookup and its rivals), `apply`, `chain` (stream, connector, snapshots), `drain`; `served` (a
lake for the API), `process` (the API itself), `rivals`, `api`; `report`.
"""
