"""Values that updates left out (an unchanged TOAST value), put in from the mirror's old rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from catalog.errors import TableStoppedError
from catalog.source import SourceTable
from streaming.files import KeyCache, MirrorFile
from streaming.folding import Change, Missing
from streaming.keys import FileKeys, KeyNumbers, key_numbers
from streaming.store import Store


@dataclass(frozen=True)
class OldValues:
    """The old rows of one table, by key."""

    store: Store
    cache: KeyCache
    source: SourceTable

    def filled(self, change: Change, files: Iterable[MirrorFile]) -> pa.Table:
        """The upserts of a change with nothing left out. Raises TableStoppedError where there is no old row."""
        rows, held = change.upserts, list(files)
        for missing in change.missing:
            rows = self._fill(rows, missing, held)
        return rows

    def _fill(self, rows: pa.Table, missing: Missing, files: Iterable[MirrorFile]) -> pa.Table:
        values = rows[missing.column].to_pylist()
        waiting = set(range(len(missing.keys)))
        for file in files:
            found, places = self._find(file, missing.keys)
            if not found.size:
                continue
            held = self.store.read_parquet(file.path, [missing.column], size=file.live.size)
            if missing.column not in held.column_names:
                held = held.append_column(missing.column, pa.nulls(file.live.rows, rows[missing.column].type))
            olds = held[missing.column].take(pa.array(found, pa.int64())).to_pylist()
            for old, place in zip(olds, places.tolist(), strict=True):
                values[int(missing.rows[place])] = old
                waiting.discard(place)
        if waiting:
            raise TableStoppedError(
                self.source.qualified,
                f"{len(waiting)} updates left {missing.column} out as unchanged, and no earlier value is known",
                remedy=f"ALTER TABLE {self.source.qualified} REPLICA IDENTITY FULL, then lake resync it",
            )
        place = rows.schema.get_field_index(missing.column)
        return rows.set_column(place, rows.schema.field(place), pa.array(values, rows[missing.column].type))

    def _find(self, file: MirrorFile, wanted: KeyNumbers) -> tuple[np.ndarray, np.ndarray]:
        """Live rows of a file that hold wanted keys, and the places of these keys."""
        keys = self.cache.get(file.path, lambda: self._read_keys(file))
        rows, places = keys.find(wanted)
        if rows.size and (file.vector is not None):
            deleted = file.deleted(self.store)
            alive = np.fromiter((row not in deleted for row in rows.tolist()), dtype=bool, count=rows.size)
            rows, places = rows[alive], places[alive]
        return rows, places

    def _read_keys(self, file: MirrorFile) -> FileKeys:
        return FileKeys.of(key_numbers(self.store.read_parquet(file.path, self.source.key, size=file.live.size)))
