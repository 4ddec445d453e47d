"""The streaming driver: one query over all tables, restarted from the tables' own positions whenever anything fails.

The tables' positions are the truth; Spark's checkpoint serves one run only, and every run starts a new one at the
lowest positions of the tables that run. So a lost checkpoint, a crash, and a table that leaves are all the same
start.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import FrameType

import structlog
from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from catalog.access import kafka_java
from catalog.errors import ComponentError, LakehouseError, TableStoppedError
from catalog.settings import Settings
from catalog.source import SourceTable
from catalog.tables.cdc import QUARANTINE
from streaming.audit import Topic, TopicAudit
from streaming.compaction import Compactor
from streaming.epoch import Slicer, apply_slice
from streaming.errands import FAILURES, Errands
from streaming.evolution import require_followable
from streaming.files import KeyCache
from streaming.following import Following
from streaming.iceberg import Lake
from streaming.offsets import epoch_ranges, record_count
from streaming.opening import Opener, check_topic
from streaming.quarantine import Quarantine
from streaming.rollback import serve_rollbacks
from streaming.schemas import SourceSchemas
from streaming.status import Stopped, write_status
from streaming.table import TableStream
from streaming.tasks import Tasks
from streaming.writer import FencedError

log = structlog.get_logger()

_LOOK_FOR_TABLES_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 30.0
_UNFORESEEN_AT_MOST = 3


class Driver:
    """Owns the query, the open tables and the tables that stopped."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark, self.settings = spark, settings
        self.lake = Lake(spark, settings)
        self.schemas = SourceSchemas(settings, self.lake)
        self.audit = TopicAudit(settings)
        self.streams: dict[str, TableStream] = {}
        self.stopped: dict[str, Stopped] = {}
        self._across = ThreadPoolExecutor(8, "table")
        self._inside = ThreadPoolExecutor(16, "write")
        self._lookup = ThreadPoolExecutor(8, "lookup")
        self._cache = KeyCache(settings.key_cache_bytes)
        self._tasks = Tasks(spark, self.lake.store)
        self._ending = threading.Event()
        self._changed = threading.Event()
        self._checkpoints = settings.state_dir / "checkpoints"
        self._checkpoint = self._checkpoints
        self._status_at = 0.0
        self._failure: LakehouseError | None = None
        self._slicer = Slicer(settings.slice_bytes)
        self._unforeseen: Counter[str] = Counter()
        self._following = Following(self.lake, settings)
        self._compactor = Compactor(settings.small_files)
        self._epochs = threading.Lock()
        self._errands = Errands(
            settings,
            self.lake,
            self.schemas,
            self.audit,
            self._changed.set,
            self._stop_table,
            self._go_on,
            self._following.held,
        )

    def run(self) -> None:
        """Stream until a TERM or INT signal; every failure but a wrong setting is followed by a fresh start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self._following.start()
        pause = 1.0
        while not self._ending.is_set():
            started = time.monotonic()
            try:
                self._run_query()
            except FAILURES as failure:
                self._require_spark(failure)
                log.error("the query ended, starting again", pause=pause, failure=_short(failure))
                self._say("restarting", error=_short(failure))
                lasted = time.monotonic() - started
                pause = 1.0 if lasted > 60 else min(pause * 2, _LONGEST_PAUSE_SECONDS)
                if isinstance(failure, FencedError):
                    pause = _LONGEST_PAUSE_SECONDS
                self._ending.wait(pause)
        self._following.end()
        self._say("stopped")

    def _require_spark(self, failure: BaseException) -> None:
        """End the process when its JVM is gone: only a new one can go on."""
        try:
            self.lake.jvm.java.lang.System.currentTimeMillis()
        except (Py4JError, OSError):
            raise ComponentError("Spark's JVM is gone", remedy="the supervisor starts the job anew") from failure

    def _end(self, number: int, _frame: FrameType | None) -> None:
        log.info("ending", signal=signal.Signals(number).name)
        self._ending.set()

    def _run_query(self) -> None:
        """One run of the query: until it fails, a table stops or joins, or the driver ends."""
        self._changed.clear()
        self._failure = None
        self._slicer = Slicer(self.settings.slice_bytes)
        serve_rollbacks(self.settings, self.lake, self.schemas, self.audit, self._go_on)
        self._open_tables()
        self._errands.tables_opened()
        if not self.streams:
            self._say("waiting", error="no table to stream yet")
            self._errands.take_up(())
            self._ending.wait(2.0)
            return
        self._errands.serve_replays(self.streams.values(), self._quarantine)
        self._following.offer(self.streams.values())
        query = self._start()
        try:
            self._watch(query)
        finally:
            query.stop()
        failure = self._failure or query.exception()
        if failure is not None and not self._ending.is_set():
            raise failure

    def _open_tables(self) -> None:
        self.schemas.create_shared()
        self._quarantine = quarantine = Quarantine(self.lake.table(QUARANTINE))
        quarantine.load()
        sources = {source.topic(self.settings.topic_prefix): source for source in self.schemas.read()}
        self._leave_out_refused(sources.values())
        topics = self.audit.read(list(sources))
        opener = Opener(self.lake, self.schemas, self._cache, self._lookup, self._tasks)

        def opened(name: str) -> TableStream | TableStoppedError | None:
            try:
                return opener.open(sources[name], topics.get(name), quarantine)
            except TableStoppedError as stop:
                return stop

        out = {*self.stopped, *self._errands.left_out}
        wanted = [name for name, source in sources.items() if source.qualified not in out]
        self.streams = {}
        for name, result in zip(wanted, self._across.map(opened, wanted), strict=True):
            if result is None:
                continue
            if isinstance(result, TableStoppedError):
                self._stop_table(sources[name].qualified, result)
            else:
                self.streams[name] = result

    def _start(self) -> StreamingQuery:
        shutil.rmtree(self._checkpoints, ignore_errors=True)
        self._checkpoint = self._checkpoints / time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        topics = self.audit.read(list(self.streams))
        offsets = {
            name: {str(partition): stream.lowest(partition) for partition in topics[name].earliest}
            for name, stream in self.streams.items()
        }
        log.info("starting the query", offsets=offsets)
        frame = (
            self.spark.readStream.format("kafka")
            .options(**{f"kafka.{name}": value for name, value in kafka_java(self.settings).items()})
            .option("kafka.isolation.level", "read_committed")
            .option("kafka.fetch.max.wait.ms", "20")
            .option("kafka.max.partition.fetch.bytes", str(34 << 20))
            .option("subscribe", ",".join(sorted(self.streams)))
            .option("startingOffsets", json.dumps(offsets))
            .option("maxOffsetsPerTrigger", self.settings.max_offsets_per_trigger)
            .option("minPartitions", 2 * len(self.streams))
            .option("failOnDataLoss", "true")
            .load()
        )
        writer = frame.writeStream.queryName("changes to Iceberg").foreachBatch(self._epoch)
        writer = writer.option("checkpointLocation", self._checkpoint.as_uri())
        return writer.trigger(processingTime=self.settings.trigger).start()

    def _epoch(self, frame: DataFrame, epoch: int) -> None:
        try:
            with self._epochs:
                self._apply_epoch(frame, epoch)
                self._between_epochs()
        except LakehouseError as failure:
            self._failure = failure  # Spark would wrap it in text
            raise

    def _apply_epoch(self, frame: DataFrame, epoch: int) -> None:
        """Apply one epoch; what a table cannot take stops that table, any other failure ends the query."""
        ranges = epoch_ranges(self._checkpoint, epoch)
        self._following.make_way(record_count(ranges))
        topics = self.audit.read(list(ranges))
        for name in ranges:
            self._check(name, topics.get(name))
        for records, part in self._slicer.slices(frame, ranges):
            running = {stream.topic: stream for stream in self._running()}
            failures = apply_slice(records, part, running, self._across, self._inside)
            for name, failure in failures.items():
                self._judge(self.streams[name].name, failure)
        self._say("running", at_most_every=1.0)

    def _between_epochs(self) -> None:
        running = self._running()
        self._compactor.between_epochs(running)
        self._following.offer(running)

    def _running(self) -> list[TableStream]:
        return [stream for stream in self.streams.values() if stream.name not in self.stopped]

    def _judge(self, table: str, failure: BaseException) -> None:
        """Stop a table that must stop, or that failed too often in a way nobody foresaw; raise any other failure."""
        if isinstance(failure, TableStoppedError):
            self._stop_table(table, failure)
            return
        if not isinstance(failure, FAILURES):
            self._unforeseen[table] += 1
            log.error("unforeseen failure", table=table, times=self._unforeseen[table], exc_info=failure)
            if self._unforeseen[table] >= _UNFORESEEN_AT_MOST:
                what = f"{type(failure).__name__}: {failure}"
                self._stop_table(table, TableStoppedError(table, what, remedy="lake logs stream shows where"))
                return
        raise failure

    def _check(self, name: str, topic: Topic | None) -> None:
        stream = self.streams[name]
        try:
            if topic is None:
                raise TableStoppedError(stream.name, f"topic {name} is gone")
            for writer in (stream.changelog, stream.mirror):
                check_topic(stream.name, writer.position, topic)
        except TableStoppedError as stop:
            self._stop_table(stream.name, stop)

    def _check_source(self, name: str, source: SourceTable | None) -> None:
        """Some changes of a source table bring no event, or events that would be taken for something else.

        What can be followed is followed when the table is opened again; a mere new file, of a truncate, is no change.
        """
        stream = self.streams[name]
        if source is None or stream.name in self.stopped:
            return
        known = stream.source
        try:
            require_followable(known, source)
        except TableStoppedError as stop:
            self._stop_table(stream.name, stop)
        else:
            if known != replace(source.following(known), file=known.file):
                self._changed.set()

    def _leave_out_refused(self, sources: Iterable[SourceTable]) -> None:
        """Stop what cannot be mirrored; what is not published any more is nobody's concern."""
        published = {*(source.qualified for source in sources), *self.schemas.refused}
        for table in [table for table in self.stopped if table not in published]:
            self.stopped.pop(table)
        for table, reason in self.schemas.refused.items():
            if table not in self.stopped:
                self._stop_table(table, TableStoppedError(table, str(reason.args[0]), remedy=reason.remedy))

    def _stop_table(self, table: str, stop: TableStoppedError) -> None:
        message = str(stop).split("\n")[0]
        log.error("table stopped, the others go on", table=table, reason=message, remedy=stop.remedy)
        self.stopped[table] = Stopped(message, stop.remedy)
        if any(stream.name == table for stream in self.streams.values()):
            self._changed.set()

    def _go_on(self, table: str) -> None:
        self.stopped.pop(table, None)

    def _watch(self, query: StreamingQuery) -> None:
        looked = time.monotonic()
        while query.isActive and not self._ending.is_set() and not self._changed.is_set():
            self._changed.wait(0.5)
            self._errands.take_up(self.streams.values())
            if self._epochs.acquire(blocking=False):
                try:
                    self._between_epochs()
                finally:
                    self._epochs.release()
            self._say("running", at_most_every=2.0)
            if time.monotonic() - looked > _LOOK_FOR_TABLES_SECONDS:
                looked = time.monotonic()
                self._look_for_tables()

    def _look_for_tables(self) -> None:
        """A published table whose topic exists joins by a new start of the query, without a new process."""
        sources = {source.topic(self.settings.topic_prefix): source for source in self.schemas.read()}
        out = {*self.stopped, *self._errands.left_out}
        missing = [name for name, source in sources.items() if name not in self.streams and source.qualified not in out]
        running = [name for name, stream in self.streams.items() if stream.name not in self.stopped]
        self._leave_out_refused(sources.values())
        topics = self.audit.read([*missing, *running])
        for name in running:  # one that was created again may hold fewer records than before, and bring no epoch
            self._check(name, topics.get(name))
            self._check_source(name, sources.get(name))
        if new := [name for name in missing if name in topics]:
            log.info("new tables", topics=new)
            self._changed.set()

    def _say(self, state: str, *, error: str = "", at_most_every: float = 0.0) -> None:
        now = time.monotonic()
        if now - self._status_at < at_most_every:
            return
        self._status_at = now
        running = {stream.name: stream for stream in self._running()}
        write_status(
            self.settings.state_dir, state, running, self.stopped, self._errands.told, self._following.status, error
        )


def _short(failure: BaseException) -> str:
    if isinstance(failure, StreamingQueryException):
        lines = [line for line in str(failure).splitlines() if "Error:" in line or "Exception:" in line]
        return lines[-1].strip()[:500] if lines else str(failure)[:500]
    return str(failure)[:500]
