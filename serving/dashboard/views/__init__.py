"""One page a file; each has `show`."""

from serving.dashboard.views import activity, alerts, demand, overview, pipeline, weather, zones

__all__ = ["activity", "alerts", "demand", "overview", "pipeline", "weather", "zones"]
