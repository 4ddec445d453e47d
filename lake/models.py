"""`lake train` and `lake predict`: models from the published features, their scores, and what they foresee."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from catalog.errors import BatchError
from catalog.settings import Settings, load_settings
from lake.app import app
from lake.rows import print_wide

if TYPE_CHECKING:
    from batch.models.training import Model, Trained

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class Origin(StrEnum):
    """Whose trips."""

    TLC = "tlc"
    CDC = "cdc"


Of = Annotated[Origin, typer.Option(help="Whose trips: TLC's files or the mirror.")]


@app.command()
def train(origin: Of = Origin.TLC, as_json: Json = False) -> None:
    """Fit the models of demand and fares anew and score them on the last month, beside simple forecasts.

    Reads the features that the DAG comprehensive_analytics_pipeline published. The new versions are the ones that its
    next run predicts with; MLflow keeps all of them with parameters, scores and the snapshots that they came from.
    """
    from batch.models import demand, fare
    from batch.models.registry import Registry

    settings, console = load_settings(), Console(stderr=True)
    registry, run = Registry(settings), f"lake/{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    found: dict[str, Any] = {}
    trainings: dict[str, Callable[[], Trained]] = {
        "demand": lambda: demand.train(settings, origin.value),
        "fares": lambda: fare.train(fare.published(settings, origin.value), origin.value),
    }
    for what, training in trainings.items():
        with console.status(f"learning {what} of {origin.value}"):
            trained = training()
            model = registry.add(trained, run)
        found[model.version] = {"scores": trained.scores, "parameters": trained.parameters}
        if not as_json:
            print_wide(_scores(model, trained))
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")


@app.command()
def predict(
    origin: Of = Origin.TLC,
    zones: Annotated[int, typer.Option(min=1, help="How many zones to show, the busiest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Foresee the 24 hours after the end of the published features, and show each zone's sum; nothing is written.

    The DAG comprehensive_analytics_pipeline publishes predictions in ml.demand_prediction_features.
    """
    version, rows = _foreseen(load_settings(), origin.value)
    shown = sorted(rows, key=lambda row: -row["demand"])[:zones]
    if as_json:
        sys.stdout.write(json.dumps({"model_version": version, "zones": shown}, indent=2) + "\n")
        return
    table = Table(title=f"{version}: pick-ups in the next 24 hours", title_justify="left")
    for name in ("zone", "pick-ups", "busiest hour (UTC)", "pick-ups then", "because of the weather", "confidence"):
        table.add_column(name, justify="right")
    for row in shown:
        factor, confidence = (_share(row[name]) for name in ("weather_impact_factor", "confidence_score"))
        peak = f"{row['busiest_demand']:.2f}"
        table.add_row(str(row["location_id"]), f"{row['demand']:.2f}", row["busiest_hour"], peak, factor, confidence)
    print_wide(table)


def _foreseen(settings: Settings, origin: str) -> tuple[str, list[dict[str, Any]]]:
    """The model's version, and of each zone the sum of the 24 hours and its busiest one."""
    from batch.models import demand
    from batch.models.registry import Registry

    model = Registry(settings).newest(demand.name(origin), demand.FEATURES)
    if model is None:
        raise BatchError(f"there is no model of the demand of {origin}", remedy=f"lake train --origin {origin}")
    until = demand.known_until(settings, origin)
    found = demand.predict(settings, model, origin, until)
    rows = []
    for zone in np.unique(found["location_id"]):
        places = np.flatnonzero(found["location_id"] == zone)[1:]  # the first hour is the one that runs
        busiest = places[np.argmax(found["predicted_demand"][places])]
        rows.append(
            {
                "location_id": int(zone),
                "demand": float(found["predicted_demand"][places].sum()),
                "busiest_hour": str(found["hour"][busiest])[:16],
                "busiest_demand": float(found["predicted_demand"][busiest]),
                "weather_impact_factor": _known(found["weather_impact_factor"][busiest]),
                "confidence_score": _known(found["confidence_score"][busiest]),
            }
        )
    return model.version, rows


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _scores(model: Model, trained: Trained) -> Table:
    first = next(iter(trained.scores.values()))
    since = trained.parameters["test_from"]
    table = Table(title=f"{model.version}: trips since {since}, not learned from", title_justify="left")
    table.add_column("forecast")
    for measure in first:
        table.add_column(measure.replace("_", " "), justify="right")
    for forecast, measures in trained.scores.items():
        table.add_row(forecast, *(f"{measures[each]:.4f}" if each in measures else "" for each in first))
    return table


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
