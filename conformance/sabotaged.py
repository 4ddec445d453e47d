"""`python -m conformance.sabotaged SCHEMA FILE`: the streaming job with the bug whose name stands in the file, if any.

Only tables of the schema are meant, and the real-time tables; these are made anew once their bug is gone. Nothing
but `conformance.sabotage` starts it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.positions import Position
from catalog.source import SourceTable
from conformance.bugs import BUGS, CORRECTION, Bug, Place
from streaming import __main__ as job
from streaming import realtime, table
from streaming.changelog import Changelog
from streaming.differences import Part
from streaming.envelope import Decoded, Events
from streaming.files import MirrorFile
from streaming.folding import Change
from streaming.marking import Touched
from streaming.mirror import Mirror

NAMED = {bug.name: bug for bug in BUGS}


class Saboteur:
    """Says which bug is planted now."""

    def __init__(self, schema: str, file: Path) -> None:
        self._schema, self._file, self._spoiled = schema, file, False

    def planted(self) -> Bug | None:
        """The bug whose name stands in the file."""
        return NAMED.get(self._file.read_text()) if self._file.exists() else None

    def is_planted(self, place: Place, source: SourceTable) -> bool:
        """Whether the bug is one of this place and meant for this table."""
        bug = self.planted()
        return bug is not None and bug.place == place and source.schema == self._schema

    def twisted(self, place: Place, source: SourceTable, events: Events) -> Events:
        """The events as the bug leaves them."""
        bug = self.planted()
        return bug.twist(events) if bug and len(events) and self.is_planted(place, source) else events

    def wrap_table(self) -> None:
        """Events on their way to changelog and mirror, and the marks on old rows."""
        decode, append, apply, touched = table.decode, Changelog.append, Mirror.apply, Mirror._touched

        def decode_twisted(records: pa.Table, source: SourceTable, **options: Any) -> Decoded:
            decoded = decode(records, source, **options)
            decoded.events = self.twisted("read", source, decoded.events)
            return decoded

        def append_twisted(
            changelog: Changelog, events: Events, position: Position, source: SourceTable, earlier: np.ndarray
        ) -> None:
            events = self.twisted("changelog", source, events)
            append(changelog, events, position, source, earlier[: len(events)])

        def apply_twisted(mirror: Mirror, events: Events, position: Position) -> None:
            apply(mirror, self.twisted("mirror", mirror.source, events), position)

        def nothing_touched(mirror: Mirror, change: Change, files: Iterable[MirrorFile]) -> Touched:
            return Touched() if self.is_planted("marks", mirror.source) else touched(mirror, change, files)

        _replace(table, decode=decode_twisted)
        _replace(Changelog, append=append_twisted)
        _replace(Mirror, apply=apply_twisted, _touched=nothing_touched)

    def wrap_windows(self) -> None:
        """What went from the watched mirror is not taken out of the real-time tables."""
        difference, follow = realtime.difference, realtime.RealtimeTables.follow

        def only_what_came(*views: Any) -> Iterator[Part]:
            return (part for part in difference(*views) if part.sign > 0 or self.planted() != CORRECTION)

        def follow_or_begin(tables: realtime.RealtimeTables, *arguments: Any) -> list[Part]:
            if self.planted() == CORRECTION:
                self._spoiled = True
            elif self._spoiled:
                self._spoiled, tables.base = False, None
            return follow(tables, *arguments)

        _replace(realtime, difference=only_what_came)
        _replace(realtime.RealtimeTables, follow=follow_or_begin)


def _replace(owner: object, **functions: Callable[..., Any]) -> None:
    for name, function in functions.items():
        setattr(owner, name, function)


def main() -> None:
    """Put the wrappers on, and stream."""
    saboteur = Saboteur(sys.argv[1], Path(sys.argv[2]))
    saboteur.wrap_table()
    saboteur.wrap_windows()
    job.main()


if __name__ == "__main__":
    main()
