"""What is told of the lake's own state: quality rules, tables, batch runs, rates, processes, disk. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from serving.rows import Position, Row


class QualityResult(Row):
    """What one rule found when it was last asked about an interval."""

    dataset: str
    interval: str
    rule: str
    severity: str
    passed: bool
    rows: int
    breaches: int
    tolerance: float
    sample: str | None = Field(description="some of the rows that broke it, as JSON")
    run_id: str
    checked_at: datetime


class PipelineTable(Row):
    """How far a table is."""

    table: str
    rows: int | None
    snapshot_id: str | None
    committed_at: datetime | None
    age_seconds: float | None
    position: Position | None
    state: str | None = Field(description="of the stream, for tables that it writes: running, copying or stopped")
    reason: str | None = Field(description="why it is stopped")


class RealtimeTables(Row):
    """How far the tables are that the stream makes from the mirror of the trips."""

    state: str = Field(description="waiting, running or failing")
    reason: str | None = Field(description="why the last step failed; it is tried again")
    records_behind: int | None = Field(description="records of Kafka that the mirror has and the windows have not")
    seconds_behind_source: float | None = Field(description="from commit to its windows, of the last change that came")
    last_commit_at: datetime | None = Field(description="when they last followed a change")
    alerts: int | None = Field(description="that are open")


class BatchRun(Row):
    """The newest run that loaded a dataset."""

    dataset: str
    run_id: str
    interval: str
    status: str
    rows_in: int | None
    accepted: int | None
    quarantined: int | None
    message: str | None
    finished_at: datetime


class Flow(Row):
    """What came through in the last `minutes`, from the tables' snapshots."""

    minutes: int
    events: int = Field(description="change events that changelogs took up")
    events_per_second: float
    quarantined: int = Field(description="records that could not be read")
    error_rate: float | None = Field(description="quarantined of all; null where nothing came")
    measured_events: int = Field(description="changes of trips that the delays are of")
    delay_median_seconds: float | None = Field(description="from commit in the source to a snapshot of the mirror")
    delay_95_percent_seconds: float | None


class Verified(Row):
    """The last comparison of a table with its source."""

    table: str
    equal: bool
    checked_at: datetime
    lsn: str | None = Field(None, description="of the source, as of which it was compared")
    rows_compared: int
    differing_rows: int
    known_to_differ: int = Field(0, description="rows and events by the last comparison that took place")
    unverified: str | None = Field(description="why it could not be compared")


class ProcessUsage(Row):
    """A component's processes on the API's machine."""

    name: str
    processes: int
    cpu_seconds: float = Field(description="since they began")
    cpu_percent: float | None = Field(description="of one core, lately; null at the first look")
    memory_bytes: int


class Folder(Row):
    """A folder of the stack's state."""

    name: str
    bytes: int


class Disk(Row):
    """The disk that the stack's state lies on."""

    total_bytes: int
    free_bytes: int
    folders: list[Folder]


class PipelineStatus(Row):
    """The lake's own facts, and what the streaming job and the machine say where they are the API's."""

    tables: list[PipelineTable]
    batch_runs: list[BatchRun]
    quarantined_events: int | None = Field(description="of the stream, all in all; null where it has made no table")
    quarantined_rows: int | None = Field(description="of batch loads, at present")
    stream: dict[str, Any] | None = Field(description="state, error and updated_at; null where it is not local")
    realtime: RealtimeTables | None = Field(description="null where the stream is not local")
    flow: Flow
    verified: list[Verified] = Field(description="empty where `lake verify` has not run yet")
    processes: list[ProcessUsage] = Field(description="empty where the stack runs elsewhere")
    disk: Disk
