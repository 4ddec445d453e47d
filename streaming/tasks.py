"""What Spark's tasks do for a mirror whose epoch or keys outgrow the driver: mark files, and write rows.

A cluster is sent our packages; its Python must hold what these import.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import SparkSession

from catalog.settings import PROJECT
from streaming.keys import WantedKeys
from streaming.marking import mark_all
from streaming.puffin import Vector
from streaming.store import Store, WrittenFile

PACKAGES = ("catalog", "streaming")
TASKS_PER_CORE = 4
"""So that one large file does not keep all others waiting."""


class Tasks:
    """The tasks of one Spark session, on this machine or on a cluster."""

    def __init__(self, spark: SparkSession, store: Store) -> None:
        self._spark, self._store = spark, store
        self._sent: TemporaryDirectory[str] | None = None

    @property
    def are_elsewhere(self) -> bool:
        """Whether there are other machines, or at least other processes, than the driver's to write rows."""
        return not self._spark.sparkContext.master.startswith("local")

    def mark_all(
        self, location: str, wanted: WantedKeys, files: Sequence[tuple[str, int, Vector | None]]
    ) -> list[Vector]:
        """As the function of this name. Raises Py4JJavaError when a task fails for good."""
        context, store = self._context(), self._store
        shared = context.broadcast(wanted)
        try:
            parts = context.parallelize(files, min(len(files), TASKS_PER_CORE * context.defaultParallelism))
            return parts.mapPartitions(lambda part: mark_all(store, location, shared.value, part)).collect()
        finally:
            shared.destroy()

    def write_all(self, location: str, pieces: Sequence[pa.Table]) -> list[WrittenFile]:
        """Write each piece as a data file. Raises Py4JJavaError when a task fails for good."""
        context, store = self._context(), self._store
        sent = context.parallelize([_packed(piece) for piece in pieces], len(pieces))
        return sent.map(lambda packed: store.write_parquet(location, _unpacked(packed))).collect()

    def _context(self) -> SparkContext:
        context = self._spark.sparkContext
        if self._sent is None and self.are_elsewhere:
            self._sent = _send_packages(context)
        return context


def _packed(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


def _unpacked(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as stream:
        return stream.read_all()


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
