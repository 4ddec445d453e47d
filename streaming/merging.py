"""Which files of a table are rewritten next, so that reading costs what the rows cost and not what the epochs cost.

Every epoch adds a file. Files of one size class (each four times the one before) are merged when enough of them have
gathered, so a row is rewritten once per class: a logarithm of the table's size. A large file is rewritten alone when
many of its rows are deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from streaming.iceberg import LiveFile

_SMALLEST_CLASS = 256 << 10
_LARGEST_MERGED, _MOST_MERGED_ROWS = 16 << 20, 500_000
"""Bytes and rows of one merge; beyond that files are merged by `lake maintain`."""
_MOST_FILES = 512
_WORN = 0.2
"""A file with a larger share of deleted rows is rewritten alone."""
_SMALLEST_WORN, _LARGEST_WORN, _MOST_WORN_ROWS = 1 << 20, 32 << 20, 1_000_000
"""Bytes and rows of such a file: a smaller one is soon merged, a larger one would take too much memory."""


def size_class(size: int) -> int:
    """0 up to 256 KiB, then one more for every factor of four."""
    return max(0, ((max(size, 1) - 1) // _SMALLEST_CLASS).bit_length() + 1) // 2


def due(files: Iterable[LiveFile], threshold: int) -> Sequence[LiveFile]:
    """The files to rewrite as one: the fullest class of at least `threshold` files, or a worn file; may be empty."""
    classes: dict[int, list[LiveFile]] = defaultdict(list)
    worn: list[LiveFile] = []
    for file in files:
        if file.size <= _LARGEST_MERGED // 4 and file.rows <= _MOST_MERGED_ROWS // 4:
            classes[size_class(int(file.size * (1 - _dead_share(file))))].append(file)
        if _SMALLEST_WORN <= file.size <= _LARGEST_WORN and file.rows <= _MOST_WORN_ROWS and _dead_share(file) > _WORN:
            worn.append(file)
    full = [members for members in classes.values() if len(members) >= threshold]
    if full:
        return _bounded(max(full, key=len))
    return [max(worn, key=_dead)] if worn else []


def _bounded(files: Sequence[LiveFile]) -> Sequence[LiveFile]:
    held = rows = 0
    for count, file in enumerate(files):
        held, rows = held + file.size, rows + file.rows
        if count > 1 and (held > _LARGEST_MERGED or rows > _MOST_MERGED_ROWS or count == _MOST_FILES):
            return files[:count]
    return files


def _dead(file: LiveFile) -> int:
    return file.vector.cardinality if file.vector else 0


def _dead_share(file: LiveFile) -> float:
    return _dead(file) / file.rows if file.rows else 0.0
