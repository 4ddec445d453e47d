"""Which transactions a Postgres snapshot sees: the text of `pg_current_snapshot()`, and transaction ids modulo 2^32."""

from __future__ import annotations

from dataclasses import dataclass

MODULO = 1 << 32
HALF = 1 << 31


@dataclass(frozen=True)
class PostgresSnapshot:
    """All transactions below `xmin` are seen, none from `xmax` on, and between them all but those of `running`."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> PostgresSnapshot:
        """Read `xmin:xmax:xid,xid,…`, with 64-bit ids."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def sees(self, xid: int) -> bool:
        """Whether the changes of a committed transaction are in the snapshot; only the low 32 bits of `xid` count."""
        ahead = (xid - self.xmin) % MODULO
        if ahead >= HALF:
            return True
        return ahead < self.xmax - self.xmin and xid % MODULO not in {known % MODULO for known in self.running}

    def unseen_sql(self, column: str) -> str:
        """The same, negated, as a DuckDB condition on a bigint column; null, where no transaction is known, is seen."""
        ahead = f"(({column} - {self.xmin % MODULO}) & {MODULO - 1})"
        running = ", ".join(str(xid % MODULO) for xid in sorted(self.running)) or "-1"
        return (
            f"coalesce({ahead} < {HALF} and ({ahead} >= {self.xmax - self.xmin}"
            f" or ({column} & {MODULO - 1}) in ({running})), false)"
        )
