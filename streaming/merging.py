"""Small files merged between epochs, so that reading costs what the rows cost and not what the epochs cost.

Every epoch adds a file. Files of one size class (each four times the one before) are merged when enough of them have
gathered, so a row is rewritten once per class: a logarithm of the table's size. A merge keeps the rows and carries the
position; the driver is the table's only writer between two epochs, and a refused merge is simply not done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import structlog

from catalog.errors import StaleSnapshotError
from streaming.changelog import Changelog
from streaming.iceberg import LiveFile
from streaming.mirror import Mirror
from streaming.puffin import read_vector
from streaming.shape import shaped
from streaming.writer import TableWriter

log = structlog.get_logger()

_SMALLEST_CLASS = 256 << 10
_LARGEST_MERGED = 64 << 20
"""A larger file is left to maintenance: a merge must not hold an epoch up."""
_DEAD_SHARE = 0.5
"""A file with more deleted rows than this is rewritten with the next merge."""


def size_class(size: int) -> int:
    """0 up to 256 KiB, then one more for every factor of four."""
    return max(0, ((max(size, 1) - 1) // _SMALLEST_CLASS).bit_length() + 1) // 2


def due(files: Iterable[LiveFile], threshold: int) -> list[LiveFile]:
    """The files to merge now: the fullest class with at least `threshold` files, bounded in bytes; may be empty."""
    classes: dict[int, list[LiveFile]] = defaultdict(list)
    for file in files:
        if file.size <= _LARGEST_MERGED // 4 or _mostly_dead(file):
            classes[size_class(int(file.size * _alive_share(file)))].append(file)
    full = [members for members in classes.values() if len(members) >= threshold]
    if not full:
        return []
    chosen: list[LiveFile] = []
    held = 0
    for file in max(full, key=len):
        held += file.size
        if held > _LARGEST_MERGED and len(chosen) > 1:
            break
        chosen.append(file)
    return chosen


def _alive_share(file: LiveFile) -> float:
    dead = file.vector.cardinality if file.vector else 0
    return 1.0 - dead / file.rows if file.rows else 0.0


def _mostly_dead(file: LiveFile) -> bool:
    return file.size <= _LARGEST_MERGED and _alive_share(file) < 1.0 - _DEAD_SHARE


def merge_mirror(mirror: Mirror, threshold: int) -> int:
    """Merge one class of a mirror's files if one is due; returns how many files went."""
    chosen = due((file.live for file in mirror.files.values()), threshold)
    if not chosen or mirror.position is None or mirror.is_copying:
        return 0
    rows = _live_rows(mirror, chosen)
    try:
        mirror.replace_files(chosen, rows)
    except StaleSnapshotError as refused:
        _give_up(mirror, refused)
        return 0
    return len(chosen)


def merge_changelog(changelog: Changelog, threshold: int) -> int:
    """Merge a changelog's small files of one hour if enough have gathered; returns how many files went."""
    if changelog.written < threshold:
        return 0
    changelog.written = 0
    hours: dict[int, list[LiveFile]] = defaultdict(list)
    for file in changelog.table.live_files(None):
        if file.partition is not None:
            hours[file.partition].append(file)
    return sum(_merge_hour(changelog, hour, due(files, threshold)) for hour, files in hours.items())


def _merge_hour(changelog: Changelog, hour: int, chosen: Sequence[LiveFile]) -> int:
    if not chosen or changelog.position is None or changelog.head is None:
        return 0
    rows = _live_rows(changelog, chosen).sort_by([("generation", "ascending"), ("topic_offset", "ascending")])
    folder = f"{changelog.table.data_location}/committed_at_hour={_hour_name(hour)}"
    written = changelog.table.lake.store.write_parquet(folder, rows)
    added = [changelog.table.data_file(written, f"committed_at_hour={hour}")]
    try:
        changelog.head = changelog.table.rewrite(changelog.committed, changelog.head, chosen, added)
    except StaleSnapshotError as refused:
        _give_up(changelog, refused)
        return 0
    return len(chosen)


def _hour_name(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d-%H}"


def _live_rows(writer: TableWriter, files: Sequence[LiveFile]) -> pa.Table:
    """The rows of files that are not deleted, in the table's shape."""
    store, parts = writer.table.lake.store, []
    for file in files:
        rows = store.read_parquet(file.path)
        if file.vector is not None:
            deleted = read_vector(store.read_bytes(file.vector.path, file.vector.offset, file.vector.length))
            alive = np.ones(file.rows, dtype=bool)
            alive[np.fromiter(deleted, dtype=np.int64, count=len(deleted))] = False
            rows = rows.filter(pa.array(alive))
        parts.append(shaped(rows, writer.table.arrow_schema))
    return pa.concat_tables(parts)


def _give_up(writer: TableWriter, refused: StaleSnapshotError) -> None:
    log.info("merge refused, left for later", table=writer.table.identifier, why=str(refused))
    writer.catch_up()
