"""Proves mirrors equal to Postgres at a common point, row for row and value for value.

1. barrier.py     one exported Postgres snapshot; a barrier row shows that the topics hold all it sees
2. coverage.py    wait until mirror and changelog cover their topics, then pin their snapshots
3. staging.py     the pinned mirror, read once through DuckDB
   changelog.py   the changelog folded against it; events that Postgres' snapshot does not see are undone
4. source_rows.py the source by COPY in the exported snapshot, key range by key range
5. comparison.py  both sides compared in Arrow; report.py holds what was found

follow.py goes on with it in the background. realtime.py proves the tables that follow a mirror equal to a
recomputation from it.
"""

from catalog.verification.report import Difference, TableReport, VerificationReport
from catalog.verification.verify import verify

__all__ = ["Difference", "TableReport", "VerificationReport", "verify"]
