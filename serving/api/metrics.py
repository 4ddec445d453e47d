"""What the API counts of itself, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter("lake_api_requests", "Answered requests", ["route", "status"], registry=self._registry)
        self.request_seconds = Histogram(
            "lake_api_request_seconds",
            "From request to last byte",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.query_seconds = Histogram(
            "lake_api_query_seconds", "Queries of the lake, waiting included", buckets=_SECONDS, registry=self._registry
        )
        self.answers = Counter(
            "lake_api_answers", "Answers by where they came from", ["source"], registry=self._registry
        )
        self.streams = Gauge("lake_api_streams", "Event streams that are open", registry=self._registry)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
