"""Metrics: what the stream tells is true, and alerts, dashboard and Prometheus ask for nothing that nobody tells."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from py4j.protocol import Py4JError

from catalog.settings import PROJECT, Settings
from catalog.tables.cdc import INSTANT
from serving.api.metrics import Metrics
from stack import commands, configuration, jars, prometheus
from streaming import metrics
from streaming.audit import TopicAudit
from streaming.delays import Delays
from streaming.lag import Arrivals

MONITORING = PROJECT / "stack" / "monitoring"
ALERTS, DASHBOARD = MONITORING / "alerts.yml", MONITORING / "grafana" / "lakehouse.json"
NAME = re.compile(r"\b(?:lake|kafka|connect|debezium|jvm|process)_\w+")
OF_JAVA = {"jvm_memory_used_bytes", "jvm_memory_max_bytes", "process_cpu_seconds_total"}
"""What the agent tells of every Java, without a rule; the test of the running stack looks for them."""
OF_THE_STREAM = {"lake_table_lag_records", "lake_table_lag_seconds", "lake_slot_active", "lake_slot_retained_bytes"}
OF_THE_STREAM |= {"lake_disk_free_bytes", "lake_disk_size_bytes"}
"""What it asks others for; the same test looks for them."""


def now() -> datetime:
    return datetime.now(UTC)


def status(**tables: dict[str, Any]) -> dict[str, Any]:
    realtime = {"state": "running", "seconds_behind_source": 1.5, "alerts": 2}
    return {"updated_at": now().isoformat(), "pid": 1, "state": "running", "tables": tables, "realtime": realtime}


def running(**given: Any) -> dict[str, Any]:
    of_table = {"state": "running", "topic": "t", "position": {"0": 5}, "files": 2, "rows": 10, "rows_applied": 7}
    of_table |= {"quarantined": 1, "last_commit_at": now().isoformat(), "last_epoch_seconds": 0.2, "epochs": 3}
    return {**of_table, "visible": Delays().as_json(), **given}


def values(found: Any) -> dict[tuple[str, ...], float]:
    """Samples by name and label values."""
    return {(s.name, *s.labels.values()): s.value for family in found for s in family.samples}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return panels


def asked_for() -> set[str]:
    """Every name in the alerts and in the dashboard, whatever stands around it."""
    return {name for path in (ALERTS, DASHBOARD) for name in NAME.findall(path.read_text())}


def of_beans() -> set[str]:
    files = [yaml.safe_load(path.read_text()) for path in (MONITORING / "jmx").iterdir()]
    return {rule["name"] for file in files for rule in file.get("rules", ())}


def of_status() -> set[str]:
    return {name for name, *_ in values(metrics.status_metrics(status(t=running())))}


def test_whatever_is_asked_for_is_told_by_somebody():
    of_api = set(re.findall(r"^# TYPE (\w+) counter", text := Metrics().text().decode(), re.MULTILINE))
    for name in re.findall(r"^# TYPE (\w+) histogram", text, re.MULTILINE):
        of_api |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    told = of_status() | of_api | of_beans() | OF_JAVA | OF_THE_STREAM
    assert asked_for() - told == set()
    assert asked_for() >= OF_JAVA | OF_THE_STREAM
    assert of_beans() <= asked_for(), "the agent reads nothing that nobody looks at"


def test_every_alert_says_what_to_do():
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "action"} and rule["labels"]["severity"], rule["alert"]
        assert not re.search(r"(?<!\w)up\b(?!_)", rule["expr"]), "a process may answer and do nothing"


def test_alerts_fire_when_they_should_and_only_then():
    tests = Path(__file__).with_name("alerts.yml")
    for arguments in (["check", "rules", ALERTS], ["test", "rules", tests]):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    tried = set(re.findall(r'alertname="(\w+)"', tests.read_text()))
    assert tried == {rule["alert"] for rule in rules()}


def test_prometheus_understands_every_panel(tmp_path: Path):
    expressions = [target["expr"] for panel in dashboard() for target in panel["targets"]]
    recorded = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "panels.yml"], capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(expressions)} rules" in done.stdout, done.stdout + done.stderr


def test_prometheus_asks_where_the_components_tell(tmp_path: Path):
    settings = Settings(state_dir=tmp_path, port_offset=20000)
    assert prometheus.prepare(settings) and not prometheus.prepare(settings)
    targets = json.loads(configuration.path(settings, prometheus.TARGETS).read_text())
    addresses = {each["labels"]["job"]: each["targets"] for each in targets}
    assert addresses["stream"] == ["127.0.0.1:29407"] and addresses["api"] == ["127.0.0.1:28000"]
    written = yaml.safe_load(configuration.path(settings, "prometheus.yml").read_text())
    assert written["rule_files"] == [str(ALERTS)]
    for name in ("kafka", "connect", "catalog"):
        (option,) = [o for o in getattr(commands, f"{name}_command")(settings).arguments if "javaagent" in o]
        jar, _, told = option.removeprefix("-javaagent:").partition("=")
        host, port, file = told.split(":")
        assert [f"{host}:{port}"] == addresses[name] and Path(file).exists()
        assert str(Path(jar).relative_to(commands.JARS)) in jars.read_sums(jars.Jars())


def test_panels_stand_side_by_side_and_ask_the_provisioned_source():
    places = [panel["gridPos"] for panel in dashboard()]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard()}) == len(places)


def test_a_stopped_table_has_its_state_and_nothing_else():
    told = values(metrics.status_metrics(status(good=running(rows=10), bad={"state": "stopped", "reason": "gone"})))
    assert told["lake_table_state", "bad", "stopped"] == 1 and told["lake_table_state", "good", "stopped"] == 0
    assert told["lake_table_rows", "good"] == 10 and told["lake_table_events_total", "good"] == 7
    assert {name for name, *labels in told if "bad" in labels} == {"lake_table_state"}


def test_what_was_never_committed_has_no_time_of_a_commit():
    told = values(metrics.status_metrics(status(t=running(last_commit_at=None))))
    assert ("lake_table_last_commit_timestamp_seconds", "t") not in told and ("lake_table_rows", "t") in told


class Gone:
    """A JVM that has ended."""

    @property
    def java(self) -> None:
        raise Py4JError("gone")


def test_what_nobody_answers_is_left_out_and_never_zero(tmp_path: Path):
    settings = Settings(state_dir=tmp_path, source_port=1)
    collector = metrics.StreamCollector(settings, TopicAudit(settings), Gone())
    assert {name for name, *_ in values(collector.collect())} == {"lake_disk_free_bytes", "lake_disk_size_bytes"}
    other = status(t=running()) | {"pid": 1}
    (tmp_path / "stream.json").write_text(json.dumps(other))
    assert "lake_stream_running" not in {name for name, *_ in values(collector.collect())}, "another process' status"


def test_delays_are_counted_once_in_their_bound_and_copied_rows_never():
    at, delays = now(), Delays()
    ages = [0.1, 0.9, 400.0, 7.0, -3.0]
    committed = pa.array([at - timedelta(seconds=age) for age in ages], INSTANT)
    delays.add(["c", "u", "d", "r"], committed[:4], at.timestamp())
    delays.add(["c"], committed[4:], at.timestamp())
    told = delays.as_json()
    buckets: Any = told["buckets"]
    assert (buckets["0.5"], buckets["1.0"], buckets["300.0"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert told["seconds"] == pytest.approx(401.0, abs=0.01)


@pytest.mark.parametrize(
    ("position", "expected"),
    [(100, 60.0), (150, 35.0), (200, 10.0), (205, 5.0), (210, 0.0), (50, 60.0)],
)
def test_a_wait_counts_from_when_the_next_record_came(position: int, expected: float):
    arrivals = Arrivals()
    for at, end in ((0, 100), (50, 200), (60, 210)):
        arrivals.see(end, at)
    assert arrivals.waiting_seconds(position, 60) == pytest.approx(expected)


def test_a_wait_is_unknown_at_the_first_look_and_at_least_the_time_since_then():
    arrivals = Arrivals()
    assert arrivals.waiting_seconds(0, 1.0) is None
    arrivals.see(10, 1.0)
    assert arrivals.waiting_seconds(10, 1.0) == 0 and arrivals.waiting_seconds(4, 1.0) is None
    arrivals.see(10, 5.0)
    arrivals.see(20, 9.0)
    assert arrivals.waiting_seconds(4, 9.0) == 8.0
    assert arrivals.waiting_seconds(15, 9.0) == 2.0, "it came after the last time that it was not there"
    arrivals.see(3, 12.0)
    assert arrivals.waiting_seconds(3, 12.0) == 0, "a topic that was made anew begins again"
