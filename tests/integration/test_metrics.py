"""Prometheus on the running stack: every metric that alerts and dashboard ask for comes, and an alert really fires."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from catalog.settings import PROJECT
from stack import control, prometheus
from stack.supervision import Supervisor

NAME = re.compile(r"\b(?:lake|kafka|connect|debezium|jvm|process)_\w+")
OF_THE_API = "lake_api_"
"""The shared stack has no API; the unit tests compare its names."""


@pytest.fixture(scope="module")
def ask(stack, joined) -> Iterator[Callable[..., Any]]:
    """Asks Prometheus, which is started once the stream has a change of the test's table to tell of."""
    stack.execute(f"insert into {joined['watched']} values (1)")
    stack.until(lambda: stack.table(joined["watched"])["rows_applied"], "the row is applied")
    control.up(stack.settings, groups=("metrics",))
    address = f"http://{stack.settings.host}:{stack.settings.port('prometheus')}/api/v1/"
    with httpx.Client(base_url=address) as client:
        yield lambda path, **given: client.get(path, params=given).raise_for_status().json()["data"]
    Supervisor(stack.settings).stop_program("prometheus")


def value(found: Any) -> float:
    (sample,) = found["result"]
    return float(sample["value"][1])


def test_every_metric_that_alerts_and_dashboard_ask_for_comes(stack, ask):
    files = (prometheus.ALERTS, PROJECT / "stack" / "monitoring" / "grafana" / "lakehouse.json")
    wanted = {name for file in files for name in NAME.findall(file.read_text()) if not name.startswith(OF_THE_API)}
    assert len(wanted) > 30
    stack.until(lambda: wanted <= set(ask("label/__name__/values")), "all are there")
    assert {rule["health"] for group in ask("rules")["groups"] for rule in group["rules"]} <= {"ok", "unknown"}
    # all but the API, which this stack does not run
    stack.until(lambda: "5 of 6 targets answer" in stack.states()["prometheus"].answer, "the others answer")


def test_what_is_told_is_so(stack, joined, ask):
    table = joined["watched"]
    assert value(ask("query", query=f'lake_table_rows{{table="{table}"}}')) == 1
    assert value(ask("query", query=f'lake_table_visible_seconds_count{{table="{table}"}}')) == 1
    assert value(ask("query", query=f'lake_table_lag_records{{table="{table}"}}')) == 0
    assert value(ask("query", query=f'lake_table_state{{table="{table}", state="running"}}')) == 1
    assert value(ask("query", query="debezium_connected")) == value(ask("query", query="lake_slot_active")) == 1


def test_a_record_that_cannot_be_read_fires_an_alert(stack, joined, ask, produce):
    table = joined["watched"]

    def firing() -> bool:
        return any(
            alert["labels"] == {"alertname": "RecordsQuarantined", "severity": "warning", **labels}
            for alert in ask("alerts")["alerts"]
            if alert["state"] == "firing"
        )

    labels = {"table": table, "job": "stream", "instance": f"127.0.0.1:{stack.settings.port('stream_metrics')}"}
    assert not firing()
    produce(joined.topic("watched"), b'{"id":1}', b'{"op":"c",')
    stack.until(firing, "the alert fires")
    assert value(ask("query", query=f'lake_table_quarantined{{table="{table}"}}')) == 1
