"""How the pipeline is: flow, equality with the source, tables, batch runs, quality, quarantine, and what it uses."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from pydantic import BaseModel

from serving.client import NotFoundError, Status
from serving.dashboard import charts, shown
from serving.dashboard.lake import client, clock, explained, moment
from serving.dashboard.shown import Figure
from serving.status import Flow, RealtimeTables

REFRESH_SECONDS = 10
"""The API measures anew as often."""
MIB, GIB = 1 << 20, 1 << 30
SET_ASIDE = {
    "taxi_cdc.quarantine": (["topic", "topic_offset", "reason", "at"], "-at"),
    "control.quarantine": (["dataset", "interval", "source", "source_row", "reason"], None),
}
"""Tables of what could not be read, by the columns that are shown and their order."""


def show() -> None:
    """The page."""
    st.title("Pipeline")
    if moment():
        st.caption("This page shows the present: the pipeline's state is not kept.")
    st.fragment(run_every=REFRESH_SECONDS)(explained(_live))()
    st.header("Quality")
    _quality()
    st.header("Quarantine")
    _quarantine()


def _live() -> None:
    status = client().get_pipeline_status()
    _flow(status.flow, status)
    st.header("Real-time tables")
    _realtime(status.realtime)
    st.header("Equal to the source")
    _listed(status.verified, "verified", "not checked yet: `lake verify` compares every row with Postgres")
    st.header("Tables")
    _listed(status.tables, "tables", status.meta.reason)
    st.header("Batch runs")
    _listed(status.batch_runs, "batch-runs", "no data yet: no batch run has ended")
    st.header("Processes and disk")
    _machine(status)


def _flow(flow: Flow, status: Status) -> None:
    stream = status.stream["state"] if status.stream else "–"
    rate = "–" if flow.error_rate is None else f"{100 * flow.error_rate:.2f} %"
    minutes, records = flow.minutes, flow.events + flow.quarantined
    median, most = _seconds(flow.delay_median_seconds), _seconds(flow.delay_95_percent_seconds)
    shown.figures(
        Figure("Stream", str(stream), "what the streaming job last said of itself, where it runs beside the API"),
        Figure("Change events", f"{flow.events_per_second:.1f} /s", f"mean of the last {minutes} minutes"),
        Figure("Set aside", rate, f"{flow.quarantined} of {records} records in those minutes"),
        Figure("Commit to visible", median, f"median of {flow.measured_events:,} changes of trips"),
        Figure("95 % within", most, "of the same changes"),
    )
    if status.stream and status.stream.get("error"):
        st.error(str(status.stream["error"]))


def _realtime(tables: RealtimeTables | None) -> None:
    if tables is None:
        shown.nothing("not known here: the stream runs on another machine than the API")
        return
    records = "–" if tables.records_behind is None else f"{tables.records_behind:,}"
    shown.figures(
        Figure("State", tables.state, "what the streaming job last said of them"),
        Figure("Behind the mirror", records, "records of Kafka that the mirror has and the windows have not"),
        Figure("Behind the source", _seconds(tables.seconds_behind_source), "from commit to window"),
        Figure("Open alerts", "–" if tables.alerts is None else str(tables.alerts), "on the page Alerts"),
    )
    if tables.reason:
        st.error(f"The last step failed and is tried again: {tables.reason}")
    elif tables.last_commit_at:
        st.caption(f"they last followed a change at {clock(tables.last_commit_at)}")


def _machine(status: Status) -> None:
    if not status.processes:
        shown.nothing("not known here: the stack's processes run on another machine than the API")
    else:
        usage = pd.DataFrame([each.model_dump() for each in status.processes])
        usage["memory, MiB"] = usage["memory_bytes"] / MIB
        left, right = st.columns(2)
        left.altair_chart(charts.bars(usage, "name", "memory, MiB", "memory, MiB"), alt="memory by process")
        if usage["cpu_percent"].notna().any():
            title = "CPU, % of one core"
            right.altair_chart(charts.bars(usage, "name", "cpu_percent", title, charts.ORANGE), alt="CPU by process")
        else:
            right.caption("CPU shares are of the time between two looks: this is the first one")
        shown.frame(usage.drop(columns=["memory, MiB"]), "processes")
    folders = pd.DataFrame([each.model_dump() for each in status.disk.folders])
    folders["disk, MiB"] = folders["bytes"] / MIB
    chart = charts.bars(folders[folders["disk, MiB"] >= 0.1], "name", "disk, MiB", "disk, MiB", charts.GREEN)
    st.altair_chart(chart, alt="disk by folder of the state")
    disk = status.disk
    st.caption(f"{disk.free_bytes / GIB:.1f} of {disk.total_bytes / GIB:.0f} GiB of that disk are free")


def _quality() -> None:
    broken = st.toggle("only rules that did not pass", key="broken rules")
    rows = client().get_quality(passed=False if broken else None)
    shown.table(rows, "quality", hidden=("run_id",))
    shown.source(rows.meta)


def _quarantine() -> None:
    for name, (columns, order) in SET_ASIDE.items():
        st.subheader(name)
        try:
            rows = client().read_table(name, columns=columns, order_by=order, limit=200)
        except NotFoundError as missing:
            shown.nothing(f"no data yet: {missing.detail}")
            continue
        shown.table(rows, name.replace(".", "-"))


def _listed(rows: Sequence[BaseModel], name: str, reason: str | None) -> None:
    if not rows:
        shown.nothing(reason)
        return
    shown.frame(pd.DataFrame([each.model_dump(exclude={"position"}) for each in rows]), name)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
