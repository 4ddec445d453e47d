"""Models, their scores and versions in MLflow: a SQLite file in the state folder, unless a server is set.

A model is kept in skops' format, which cannot run code when it is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batch.models.training import Model, Trained
from catalog.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
ARTEFACT = "model.skops"


class Registry:
    """The models that were trained here, by name and version."""

    def __init__(self, settings: Settings) -> None:
        # Read when MLflow is imported, and by no option of the client.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):  # they tell of each table of a new store
            logging.getLogger(noisy).setLevel(logging.WARNING)
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        self._local = settings.state_dir / "mlflow" if settings.mlflow_uri is None else None
        self._client: MlflowClient = MlflowClient(settings.mlflow_uri or f"sqlite:///{settings.state_dir}/mlflow.db")

    def newest(self, name: str, features: tuple[str, ...]) -> Model | None:
        """The newest version of a model; None when there is none that reads these features."""
        versions = self._client.search_model_versions(f"name = '{name}'")
        if not versions:
            return None
        version = max(versions, key=lambda each: int(each.version))
        with tempfile.TemporaryDirectory() as folder:
            path = self._client.download_artifacts(version.run_id, ARTEFACT, folder)
            model = _load(Path(path), f"{name}-{version.version}")
        return model if model.features == features else None

    def add(self, trained: Trained, run: str) -> Model:
        """Keep a model with its scores and parameters; `run` is what trained it. Returns it with its version."""
        name = trained.model.name
        training = self._client.create_run(self._experiment(name.partition("-")[0]), run_name=run)
        run_id = training.info.run_id
        for parameter, value in trained.parameters.items():
            self._client.log_param(run_id, parameter, value)
        for forecast, measures in trained.scores.items():
            for measure, value in measures.items():
                self._client.log_metric(run_id, f"{forecast}/{measure}", value)
        with tempfile.TemporaryDirectory() as folder:
            _dump(trained.model, Path(folder) / ARTEFACT)
            self._client.log_artifact(run_id, str(Path(folder) / ARTEFACT))
        self._client.log_dict(run_id, {"features": trained.model.features, "scores": trained.scores}, "scores.json")
        self._client.set_terminated(run_id)
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)
        version = self._client.create_model_version(name, f"{training.info.artifact_uri}/{ARTEFACT}", run_id)
        return replace(trained.model, version=f"{name}-{version.version}")

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        place = self._local.as_uri() if self._local else None
        return str(found.experiment_id if found else self._client.create_experiment(name, artifact_location=place))


def _dump(model: Model, path: Path) -> None:
    from skops import io

    described = json.dumps({"name": model.name, "features": model.features, "spread": model.spread})
    io.dump({"described": described, "regressor": model.regressor}, path)


def _load(path: Path, version: str) -> Model:
    from skops import io

    held = io.load(path, trusted=TRUSTED)
    described = json.loads(held["described"])
    return Model(described["name"], tuple(described["features"]), held["regressor"], described["spread"], version)
