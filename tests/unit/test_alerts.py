"""Alerts are raised and cleared once, whatever crashes; the webhook is told until it takes them."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from streaming_model.lake import CrashError, Process, Table, Warehouse
from streaming_model.realtime import schema
from streaming_model.runs import Turns

from catalog.positions import PartitionPosition, Position
from catalog.tables.realtime import ALERTS, SURGE
from streaming.alerts import Alerts, Finding, Looked, look
from streaming.daily import DailyTable
from streaming.files import FileCache
from streaming.webhook import Webhook

NOW = datetime.now(UTC)
AT = Position("topic", {0: PartitionPosition(7)}, made_from=3)


def opened(warehouse, webhook=None, fuse=None, *, dies_after=False):
    process = Process(warehouse)
    alerts = Alerts(
        DailyTable(Table(process, "alerts", schema(ALERTS)), "raised_at", FileCache(1 << 20), Turns()), webhook
    )
    alerts.load()
    process.fuse, process.dies_after = fuse, dies_after
    return alerts


def rows(warehouse):
    return sorted(Table(Process(warehouse), "alerts", schema(ALERTS)).rows(), key=lambda row: row["raised_at"])


def surge(**scores):
    return lambda alerts: [look(SURGE, scores, alerts.open)]


def test_a_condition_is_raised_once_and_over_below_its_lower_bound():
    warehouse = Warehouse()
    alerts = opened(warehouse)
    for minute, score in enumerate((2.9, 3.0, 5.0, 2.5, 1.9, 4.0)):
        alerts.apply(surge(zone=score)(alerts), AT, NOW + timedelta(minutes=minute))
    found = [(row["value"], row["cleared_at"]) for row in rows(warehouse)]
    assert found == [(3.0, NOW + timedelta(minutes=4)), (4.0, None)]


def test_a_subject_without_a_value_any_more_is_over():
    warehouse = Warehouse()
    alerts = opened(warehouse)
    alerts.apply(surge(a=9.0, b=9.0)(alerts), AT, NOW)
    alerts.apply(surge(b=9.0)(alerts), AT, NOW + timedelta(minutes=1))
    assert {(row["subject"], row["cleared_at"] is None) for row in rows(warehouse)} == {("a", False), ("b", True)}


@pytest.mark.parametrize("dies_after", [False, True])
def test_a_crash_at_the_commit_raises_it_once(dies_after):
    warehouse = Warehouse()
    alerts = opened(warehouse, fuse=0, dies_after=dies_after)
    with pytest.raises(CrashError):
        alerts.apply(surge(zone=3.5)(alerts), AT, NOW)
    alerts = opened(warehouse)
    alerts.apply(surge(zone=4.5)(alerts), AT, NOW + timedelta(minutes=1))
    assert [row["value"] for row in rows(warehouse)] == [3.5 if dies_after else 4.5]


def test_an_alert_of_another_day_is_cleared_in_its_own_row():
    warehouse = Warehouse()
    alerts = opened(warehouse)
    alerts.apply([Looked((Finding("fare", "trip 1", 90.0, 50.0),))], AT, NOW - timedelta(days=3))
    alerts.apply([Looked((Finding("fare", "trip 2", 80.0, 50.0),))], AT, NOW - timedelta(days=3))
    alerts = opened(warehouse)
    alerts.apply([Looked(over=frozenset({("fare", "trip 1")}))], AT, NOW)
    assert [(row["subject"], row["cleared_at"]) for row in rows(warehouse)] == [("trip 1", NOW), ("trip 2", None)]


@pytest.fixture
def server():
    """Refuses the first request of each alert."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append((self.headers["Idempotency-Key"], body))
            first = [key for key, _ in received].count(self.headers["Idempotency-Key"]) == 1
            self.send_response(503 if first else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/hook", received
    http.shutdown()


def until(alerts, condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        alerts.apply([], AT, NOW)
        time.sleep(0.02)


def test_the_webhook_is_asked_until_it_takes_an_alert_also_after_a_crash(server):
    address, received = server
    warehouse = Warehouse()
    alerts = opened(warehouse, Webhook(address), fuse=1)  # raised, and dead before the row can say that it was told
    with pytest.raises(CrashError):
        alerts.apply(surge(zone=3.5)(alerts), AT, NOW)
        until(alerts, lambda: False)
    alerts = opened(warehouse, Webhook(address))
    until(alerts, lambda: rows(warehouse)[0]["notified_at"] is not None)
    assert len({key for key, _ in received}) == 1, "one alert, under one name"
    assert received[-1][1]["value"] == 3.5
    asked = len(received)
    alerts.apply(surge(zone=3.7)(alerts), AT, NOW)
    again = opened(warehouse, Webhook(address))
    again.apply([], AT, NOW)
    time.sleep(0.1)
    assert len(received) == asked, "what was taken is not told again"


def test_an_alert_that_is_over_before_it_was_told_keeps_both_facts(server):
    address, _ = server
    warehouse = Warehouse()
    alerts = opened(warehouse, Webhook(address))
    alerts.apply(surge(zone=3.5)(alerts), AT, NOW)
    alerts.apply(surge(zone=0.5)(alerts), AT, NOW + timedelta(seconds=1))
    until(alerts, lambda: rows(warehouse)[0]["notified_at"] is not None)
    (row,) = rows(warehouse)
    assert row["cleared_at"] == NOW + timedelta(seconds=1)
