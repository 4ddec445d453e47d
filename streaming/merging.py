"""Small files merged between epochs, so that reading costs what the rows cost and not what the epochs cost.

Every epoch adds a file. Files of one size class (each four times the one before) are merged when enough of them have
gathered, so a row is rewritten once per class: a logarithm of the table's size. A merge keeps the rows and carries the
position; the driver is the table's only writer between two epochs, and a refused merge is simply not done.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import structlog

from catalog.errors import StaleSnapshotError
from streaming.changelog import Changelog
from streaming.iceberg import LiveFile, written_live
from streaming.marking import without
from streaming.mirror import Mirror
from streaming.shape import shaped
from streaming.writer import TableWriter

log = structlog.get_logger()

_SMALLEST_CLASS = 256 << 10
_LARGEST_MERGED = 16 << 20
_MOST_ROWS = 500_000
"""Bytes and rows of one merge; larger files are left to maintenance, because a merge must not hold an epoch up."""
_MOST_FILES, _AT_ONCE, _MOST_SECONDS = 512, 16, 1.0
"""Of one merge, read side by side; it takes no further file when its time is up."""
_DEAD_SHARE = 0.5
"""A file with more deleted rows than this is rewritten with the next merge."""


def size_class(size: int) -> int:
    """0 up to 256 KiB, then one more for every factor of four."""
    return max(0, ((max(size, 1) - 1) // _SMALLEST_CLASS).bit_length() + 1) // 2


def due(files: Iterable[LiveFile], threshold: int) -> Sequence[LiveFile]:
    """The files to merge now: the fullest class with at least `threshold` files, bounded in bytes; may be empty."""
    classes: dict[int, list[LiveFile]] = defaultdict(list)
    for file in files:
        is_small = file.size <= _LARGEST_MERGED // 4 and file.rows <= _MOST_ROWS // 4
        if is_small or _mostly_dead(file):
            classes[size_class(int(file.size * _alive_share(file)))].append(file)
    full = [members for members in classes.values() if len(members) >= threshold]
    if not full:
        return []
    chosen: list[LiveFile] = []
    held = rows = 0
    for file in max(full, key=len):
        held, rows = held + file.size, rows + file.rows
        if len(chosen) > 1 and (held > _LARGEST_MERGED or rows > _MOST_ROWS or len(chosen) == _MOST_FILES):
            break
        chosen.append(file)
    return chosen


def _alive_share(file: LiveFile) -> float:
    dead = file.vector.cardinality if file.vector else 0
    return 1.0 - dead / file.rows if file.rows else 0.0


def _mostly_dead(file: LiveFile) -> bool:
    return file.size <= _LARGEST_MERGED and file.rows <= _MOST_ROWS and _alive_share(file) < 1.0 - _DEAD_SHARE


def merge_mirror(mirror: Mirror, threshold: int) -> int:
    """Merge one class of a mirror's files, all of one partition, if one is due; returns how many files went."""
    parts: dict[str, list[LiveFile]] = defaultdict(list)
    for file in mirror.files.values():
        parts[file.live.partition].append(file.live)
    chosen = max((due(files, threshold) for files in parts.values()), key=len, default=[])
    if not chosen or mirror.position is None or mirror.is_copying:
        return 0
    chosen, rows = _live_rows(mirror, chosen)
    try:
        mirror.replace_files(chosen, rows)
    except StaleSnapshotError as refused:
        _give_up(mirror, refused)
        return 0
    return len(chosen)


def merge_changelog(changelog: Changelog, threshold: int) -> int:
    """Merge this run's small files of an hour where enough have gathered; returns how many files went."""
    return sum(_merge_hour(changelog, hour, due(files, threshold)) for hour, files in list(changelog.recent.items()))


def _merge_hour(changelog: Changelog, hour: int, chosen: Sequence[LiveFile]) -> int:
    if not chosen or changelog.head is None:
        return 0
    chosen, rows = _live_rows(changelog, chosen)
    rows = rows.sort_by([("generation", "ascending"), ("topic_offset", "ascending")])
    written = changelog.write_hour(hour, rows)
    added = changelog.data_file(written, hour)
    try:
        changelog.head = changelog.table.rewrite(changelog.committed, changelog.head, chosen, [added])
    except StaleSnapshotError as refused:
        changelog.recent.pop(hour)
        _give_up(changelog, refused)
        return 0
    gone = {file.path for file in chosen}
    kept = [file for file in changelog.recent[hour] if file.path not in gone]
    changelog.recent[hour] = [*kept, written_live(written, added)]
    return len(chosen)


def _live_rows(writer: TableWriter, files: Sequence[LiveFile]) -> tuple[Sequence[LiveFile], pa.Table]:
    """The first of these files, as many as are read in time, and their rows in the table's shape."""
    store = writer.table.lake.store
    parts: list[pa.Table] = []
    until = time.monotonic() + _MOST_SECONDS

    def read(file: LiveFile) -> pa.Table:
        rows = store.read_parquet(file.path, size=file.size)
        return shaped(without(rows, store.read_deleted(file.vector)), writer.table.arrow_schema)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        while len(parts) < len(files) and (len(parts) < 2 or time.monotonic() < until):
            parts += threads.map(read, files[len(parts) : len(parts) + _AT_ONCE])
    return files[: len(parts)], pa.concat_tables(parts)


def _give_up(writer: TableWriter, refused: StaleSnapshotError) -> None:
    log.info("merge refused, left for later", table=writer.table.identifier, why=str(refused))
    writer.catch_up()
