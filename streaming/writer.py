"""What changelog, mirror and quarantine share: the position they stand at, and how a commit is landed.

A refused commit is followed by reading the table again. If it still stands at our position, only compactions came in
between and the change is planned again; otherwise another driver is at work and this one must start over.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from catalog.errors import LakehouseError, StaleSnapshotError
from catalog.positions import Position
from streaming.iceberg import MAIN, IcebergTable

log = structlog.get_logger()
_ATTEMPTS = 5


class FencedError(LakehouseError):
    """Another driver has moved the table: whatever this one has in memory is stale."""


class TableWriter:
    """One table's position. `position` may be ahead of the committed one by ranges that held no records."""

    def __init__(self, table: IcebergTable) -> None:
        self.table = table
        self.branch = MAIN
        self.head: int | None = None
        self.position: Position | None = None
        self._committed: Position | None = None

    def load(self) -> None:
        """Read head and position from the table's metadata. Raises PositionLostError."""
        self.head = self.table.head(self.branch)
        self.position = self._committed = self.table.position(self.branch)

    @property
    def committed(self) -> Position:
        """The position that the table's head carries."""
        if self._committed is None:
            raise LakehouseError(f"{self.table.identifier} was never written")
        return self._committed

    def stand(self, position: Position) -> None:
        """Commit a position whose records change no row: an empty snapshot, so that all can see it was reached."""
        self.land(lambda: self.table.row_delta(position, self.head, branch=self.branch), position)

    def land(self, commit: Callable[[], int], position: Position) -> None:
        """Run `commit` until it lands, planning again after compactions. Raises FencedError, ComponentError."""
        for attempt in range(_ATTEMPTS):
            try:
                self.head = commit()
            except StaleSnapshotError as stale:
                log.info("commit refused, planning again", table=self.table.identifier, attempt=attempt, why=str(stale))
                self.catch_up()
                continue
            self.position = self._committed = position
            return
        raise LakehouseError(
            f"{self.table.identifier}: {_ATTEMPTS} commits in a row were refused",
            remedy="pause what else commits to this table, such as a compaction in a loop",
        )

    def catch_up(self) -> None:
        """Read the table again after a refusal. Raises FencedError when its position is not ours."""
        ours, ahead = self._committed, self.position
        self.table.refresh()
        self.load()
        if self.position != ours:
            raise FencedError(
                f"{self.table.identifier} was moved by another streaming driver",
                remedy="stop the other driver; `lake status` shows this one's",
            )
        self.position = ahead
