"""Every step there is, by `dataset step`; a step's module is imported when the step is run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from batch.job import Job
from catalog.errors import ConfigurationError, LakehouseError

Step = Callable[[Job], dict[str, Any]]

STEPS = {
    "taxi extract": "batch.taxi.steps:extract",
    "taxi validate": "batch.taxi.steps:validate",
    "taxi load": "batch.taxi.steps:load",
    "taxi record": "batch.taxi.steps:record",
    "weather fetch": "batch.weather.steps:fetch",
    "weather locations": "batch.weather.steps:locations",
    "weather validate": "batch.weather.steps:validate",
    "weather load": "batch.weather.steps:load",
    "weather load-locations": "batch.weather.steps:load_locations",
    "analytics available": "batch.analytics.steps:available",
    "analytics transform": "batch.analytics.steps:transform",
    "analytics realtime": "batch.analytics.steps:realtime",
    "models features": "batch.models.steps:features",
}
"""The DAGs' tasks, in their order; those that use Spark are submitted to the cluster by the DAGs."""


def find(name: str) -> Step:
    """The function of a step. Raises ConfigurationError, which lists the names."""
    if name not in STEPS:
        raise ConfigurationError(f"there is no step {name!r}", remedy=f"one of: {', '.join(STEPS)}")
    module, _, function = STEPS[name].partition(":")
    step: Step = getattr(import_module(module), function)
    return step


def run(job: Job) -> dict[str, Any]:
    """Run the job's step and keep what it returns, a small JSON document, or why it failed, for the steps after it."""
    step = find(job.name)
    job.forget()
    try:
        result = step(job)
    except LakehouseError as error:
        job.keep_failure(error)
        raise
    job.keep(result)
    return result
