"""Monitoring: Prometheus, which asks all others and alerts."""

from __future__ import annotations

from stack import prometheus
from stack.component import Component

GROUP = "metrics"

COMPONENTS = (
    Component(
        name="prometheus",
        title="Prometheus",
        group=GROUP,
        command=prometheus.command,
        ask=prometheus.ask,
        address=lambda settings: f"http://{settings.host}:{settings.port('prometheus')}",
        ports=("prometheus",),
        prepare=prometheus.prepare,
    ),
)
