"""What the streaming job tells Prometheus: its status, as `lake status` shows it, and what it asks others for.

Everything is found out when somebody scrapes, so that nothing is paid between two. What cannot be found out is left out
and never zero; alerts look for its absence.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import psycopg
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from py4j.protocol import Py4JError

from catalog.errors import ComponentError
from catalog.settings import Settings
from streaming.audit import TopicAudit
from streaming.lag import Arrivals
from streaming.status import FILE_NAME

log = structlog.get_logger()

STATES = ("running", "copying", "stopped")
_GAUGES = {
    "rows": ("lake_table_rows", "Rows of the mirror"),
    "files": ("lake_table_files", "Data files of the mirror"),
    "quarantined": ("lake_table_quarantined", "Records of the table that lie in the quarantine"),
    "last_epoch_seconds": ("lake_table_epoch_seconds", "Time that the table's last epoch took"),
    "last_commit_at": ("lake_table_last_commit_timestamp_seconds", "Unix time of the last commit that brought changes"),
}
_COUNTERS = {
    "rows_applied": ("lake_table_events", "Change events applied since the table was opened"),
    "epochs": ("lake_table_epochs", "Epochs that brought changes since the table was opened"),
}
_SLOT = """
select active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) from pg_replication_slots where slot_name = %s
"""


def serve(settings: Settings, audit: TopicAudit, jvm: Any) -> None:
    """Serve the metrics at the settings' port from threads of this process; without them the job goes on."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(StreamCollector(settings, audit, jvm))
    address, port = settings.spark_ui_host or settings.host, settings.port("stream_metrics")
    try:
        start_http_server(port, address, registry)
    except OSError as taken:
        log.error("metrics are not served", address=f"{address}:{port}", reason=str(taken))


class StreamCollector(Collector):
    """Answers one scrape."""

    def __init__(self, settings: Settings, audit: TopicAudit, jvm: Any) -> None:
        self._settings, self._audit, self._jvm = settings, audit, jvm
        self._arrivals: dict[tuple[str, int], Arrivals] = defaultdict(Arrivals)
        self._one_at_a_time = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not ask."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything that can be found out now."""
        with self._one_at_a_time:
            if status := self._status():
                yield from status_metrics(status)
                yield from self._lag(status["tables"])
            yield from self._slot()
            yield from self._disk()
            yield from self._memory()

    def _status(self) -> dict[str, Any] | None:
        """What this process last said of itself; what one before it said is no news."""
        try:
            status: dict[str, Any] = json.loads((self._settings.state_dir / FILE_NAME).read_text())
        except FileNotFoundError:
            return None
        return status if status["pid"] == os.getpid() else None

    def _lag(self, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
        """By table: committed records that are not applied yet, and how long the oldest of them has been waiting."""
        followed = {name: table for name, table in tables.items() if "position" in table}
        records = _gauge("lake_table_lag_records", "Records in Kafka that are not applied yet")
        seconds = _gauge("lake_table_lag_seconds", "How long the oldest of them has been in Kafka, estimated")
        try:
            ends = self._audit.ends([table["topic"] for table in followed.values()])
        except ComponentError:
            return
        now = time.time()
        for name, table in followed.items():
            waits = []
            behind = 0
            for partition, end in ends.get(table["topic"], {}).items():
                position = table["position"].get(str(partition), 0)
                arrivals = self._arrivals[table["topic"], partition]
                arrivals.see(end, now)
                waits.append(arrivals.waiting_seconds(position, now))
                behind += max(0, end - position)
            if waits:
                records.add_metric([name], behind)
            if known := [wait for wait in waits if wait is not None]:
                seconds.add_metric([name], max(known))
        yield from (records, seconds)

    def _slot(self) -> Iterator[Metric]:
        """The replication slot: whether it is read, and how much WAL Postgres keeps for it."""
        try:
            with psycopg.connect(self._settings.source_dsn("cdc"), connect_timeout=3, autocommit=True) as connection:
                found = connection.execute(_SLOT, [self._settings.slot]).fetchone()
        except psycopg.Error:
            return
        if found is None:
            return
        active, retained = found
        yield GaugeMetricFamily("lake_slot_active", "Whether the replication slot is being read", active)
        if retained is not None:  # a slot that was given up keeps nothing
            yield GaugeMetricFamily("lake_slot_retained_bytes", "WAL that the replication slot holds back", retained)

    def _disk(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(self._settings.state_dir)
        yield GaugeMetricFamily("lake_disk_free_bytes", "Free space where the state folder is", usage.free)
        yield GaugeMetricFamily("lake_disk_size_bytes", "Size of the disk where the state folder is", usage.total)

    def _memory(self) -> Iterator[Metric]:
        """The heap of Spark's JVM, under the names that the Java agent gives it elsewhere."""
        try:
            heap = self._jvm.java.lang.management.ManagementFactory.getMemoryMXBean().getHeapMemoryUsage()
            used, most = heap.getUsed(), heap.getMax()
        except (Py4JError, OSError):
            return
        for name, help_, value in (
            ("jvm_memory_used_bytes", "Bytes of memory in use", used),
            ("jvm_memory_max_bytes", "Most bytes that may be in use", most),
        ):
            family = GaugeMetricFamily(name, help_, labels=["area"])
            family.add_metric(["heap"], value)
            yield family


def status_metrics(status: Mapping[str, Any]) -> Iterator[Metric]:
    """A status of `streaming.status` as metrics; a stopped table has its state and nothing else."""
    yield GaugeMetricFamily("lake_stream_running", "Whether the query runs", status["state"] == "running")
    updated = datetime.fromisoformat(status["updated_at"]).timestamp()
    yield GaugeMetricFamily("lake_stream_status_timestamp_seconds", "Unix time of the status shown here", updated)
    states = GaugeMetricFamily("lake_table_state", "1 for the state that the table is in", labels=["table", "state"])
    for name, table in status["tables"].items():
        for state in STATES:
            states.add_metric([name, state], table["state"] == state)
    yield states
    yield from _realtime(status["realtime"])
    told = {name: table for name, table in status["tables"].items() if "position" in table}
    for key, (metric, help_) in _GAUGES.items():
        yield _filled(_gauge(metric, help_), told, key)
    for key, (metric, help_) in _COUNTERS.items():
        yield _filled(CounterMetricFamily(metric, help_, labels=["table"]), told, key)
    visible = HistogramMetricFamily(
        "lake_table_visible_seconds", "From a change's commit in Postgres until the mirror showed it", labels=["table"]
    )
    for name, table in told.items():
        visible.add_metric([name], list(table["visible"]["buckets"].items()), table["visible"]["seconds"])
    yield visible


def _realtime(status: Mapping[str, Any]) -> Iterator[Metric]:
    """The real-time tables; how old their newest change is, and their alerts, are known once they were made."""
    failing = status["state"] == "failing"
    yield GaugeMetricFamily("lake_realtime_failing", "Whether the last step of the real-time tables failed", failing)
    for key, name, help_ in (
        (
            "seconds_behind_source",
            "lake_realtime_behind_seconds",
            "From the newest change's commit until they showed it",
        ),
        ("alerts", "lake_realtime_alerts", "Alerts of the real-time tables that are open"),
    ):
        if key in status:
            yield GaugeMetricFamily(name, help_, status[key])


def _gauge(name: str, help_: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_, labels=["table"])


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, tables: Mapping[str, Mapping[str, Any]], key: str
) -> Metric:
    for name, table in tables.items():
        value = table[key]
        if value is not None:
            family.add_metric([name], datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value)
    return family
