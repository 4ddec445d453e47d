"""Prometheus: it asks every component for its metrics, keeps them for a while and judges them by our alert rules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from catalog.errors import ConfigurationError
from catalog.settings import Settings
from stack import configuration, health
from stack.commands import Command

ALERTS = Path(__file__).with_name("monitoring") / "alerts.yml"
TARGETS = "prometheus-targets.json"
"""Name of the file that says where each job's metrics are; other Prometheus servers may read it too."""
JOBS = {
    "kafka": "kafka_metrics",
    "connect": "connect_metrics",
    "catalog": "catalog_metrics",
    "stream": "stream_metrics",
    "api": "api",
    "prometheus": "prometheus",
}
"""Port setting by job."""
KEPT = ("--storage.tsdb.retention.time=15d", "--storage.tsdb.retention.size=1GB")


def binary() -> Path:
    """Prometheus' program. Raises ConfigurationError when it is not installed."""
    found = shutil.which("prometheus")
    if found is None:
        remedy = "scripts/setup metrics (Debian, Ubuntu: apt-get install prometheus; macOS: brew install prometheus)"
        raise ConfigurationError("the program `prometheus` was not found", remedy=remedy)
    return Path(found)


def command(settings: Settings) -> Command:
    """The server, with its data in the state folder."""
    arguments = (
        f"--config.file={configuration.path(settings, 'prometheus.yml')}",
        f"--storage.tsdb.path={settings.state_dir / 'prometheus'}",
        *KEPT,
        f"--web.listen-address={settings.host}:{settings.port('prometheus')}",
        "--log.level=warn",
    )
    return Command((str(binary()), *arguments))


def prepare(settings: Settings) -> bool:
    """Write whom it asks; True when that changed."""
    targets = [
        {"targets": [f"{settings.host}:{settings.port(port)}"], "labels": {"job": job}} for job, port in JOBS.items()
    ]
    file = configuration.path(settings, TARGETS)
    values = {"alerts": json.dumps(str(ALERTS)), "targets": json.dumps(str(file))}
    changed = [
        configuration.write(file, json.dumps(targets, indent=1) + "\n"),
        configuration.write(
            configuration.path(settings, "prometheus.yml"), configuration.render("prometheus.yml", values)
        ),
    ]
    return any(changed)


def ask(settings: Settings) -> str:
    """How many of those that it asks answer, and which alerts fire."""
    base = f"http://{settings.host}:{settings.port('prometheus')}/api/v1"
    targets: list[dict[str, Any]] = health.get_json(f"{base}/targets")["data"]["activeTargets"]
    alerts: list[dict[str, Any]] = health.get_json(f"{base}/alerts")["data"]["alerts"]
    answering = sum(target["health"] == "up" for target in targets)
    firing = sorted({alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"})
    return f"{answering} of {len(targets)} targets answer, {', '.join(firing) or 'no alert'}"
