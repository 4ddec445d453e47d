"""Which rows of which files hold changed keys, and the deletion vectors that say so.

The driver looks into the files whose keys it holds, or can hold. Where a table's keys outgrow its memory, Spark tasks
read the other files and write their vectors: nothing of a key comes back.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pyroaring import BitMap
from pyspark import SparkContext
from pyspark.sql import SparkSession

from catalog.settings import PROJECT
from streaming.keys import FileKeys, KeyNumbers
from streaming.puffin import OFFSET, Vector, vector_file
from streaming.store import Store

PACKAGES = ("catalog", "streaming")
TASKS_PER_CORE = 4
"""So that one large file does not keep all others waiting."""


def mark(
    store: Store, location: str, path: str, keys: FileKeys, wanted: KeyNumbers, before: BitMap
) -> tuple[Vector, BitMap] | None:
    """Write the vector of a data file whose rows with a wanted key are deleted too; None when that changes nothing."""
    rows, _ = keys.find(wanted)
    deleted = before | BitMap(rows)
    if len(deleted) == len(before):
        return None
    deleted.run_optimize()
    content, length = vector_file(deleted, path)
    written = store.write_vector(location, content, len(deleted))
    return Vector(written.path, written.size, written.rows, path, OFFSET, length), deleted


def mark_all(
    store: Store, location: str, key: Sequence[str], wanted: KeyNumbers, files: Iterable[tuple[str, Vector | None]]
) -> Iterator[Vector]:
    """The new vectors of those files that hold a wanted key; nothing of them is kept in memory."""
    for path, vector in files:
        if found := mark(store, location, path, store.read_keys(path, key), wanted, store.read_deleted(vector)):
            yield found[0]


class TaskMarking:
    """Marks files in Spark tasks. A cluster is sent our packages; its Python must hold what these import."""

    def __init__(self, spark: SparkSession, store: Store) -> None:
        self._spark, self._store = spark, store
        self._sent: TemporaryDirectory[str] | None = None

    def mark_all(
        self, location: str, key: Sequence[str], wanted: KeyNumbers, files: Sequence[tuple[str, Vector | None]]
    ) -> list[Vector]:
        """As the function of this name. Raises Py4JJavaError when a task fails for good."""
        context, store = self._spark.sparkContext, self._store
        if self._sent is None and not context.master.startswith("local"):
            self._sent = _send_packages(context)
        shared = context.broadcast((wanted.first, wanted.second))
        try:
            parts = context.parallelize(files, min(len(files), TASKS_PER_CORE * context.defaultParallelism))
            return parts.mapPartitions(
                lambda part: mark_all(store, location, key, KeyNumbers(*shared.value), part)
            ).collect()
        finally:
            shared.destroy()


def _send_packages(context: SparkContext) -> TemporaryDirectory[str]:
    """Have executors load our packages; they come for them as long as the folder is there."""
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="lakehouse-packages-")
    archive = Path(folder.name) / "lakehouse.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for package in PACKAGES:
            for path in (PROJECT / package).rglob("*.py"):
                file.write(path, path.relative_to(PROJECT))
    context.addPyFile(str(archive))
    return folder
