"""What a step is given: its run, the settings, Spark when it asks for it, and what earlier steps of the run found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from catalog.errors import BatchError, LakehouseError
from catalog.files import s3_files
from catalog.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Run:
    """One run of a DAG, or of `lake` by hand.

    `id` is `dag_id/run_id`; the interval is in UTC and absent where nobody asked for one; `trigger` is how the run came
    about (`manual`, `scheduled`, `backfill`, `asset_triggered`); `options` are the step's own.
    """

    id: str
    interval_start: datetime | None = None
    interval_end: datetime | None = None
    trigger: str = "manual"
    options: Mapping[str, str] = field(default_factory=dict)


class Job:
    """One step of one run. `spark` starts Spark at the first use; `result` reads what another step of the run left."""

    def __init__(self, settings: Settings, run: Run, name: str, *, submitted: bool = False) -> None:
        self.settings, self.run, self.name = settings, run, name
        self._submitted = submitted

    @cached_property
    def spark(self) -> SparkSession:
        """The session: the cluster's when this process came by spark-submit, a local one otherwise."""
        from catalog.session import spark_session

        return spark_session(self.settings, f"{self.name} {self.run.id}", submitted=self._submitted)

    def result(self, step: str) -> dict[str, Any]:
        """What `step` of this run returned. Raises BatchError when it did not end well."""
        if (found := self.outcome(step)) is None:
            raise BatchError(
                f"run {self.run.id} holds no result of its step {step}", remedy=f"run {step} first, with the same --run"
            )
        return found

    def outcome(self, step: str) -> dict[str, Any] | None:
        """What `step` of this run returned; None when it did not end well, or was not run."""
        found = self._read(step, "json")
        return None if found is None else dict(json.loads(found))

    def failure(self, step: str) -> str | None:
        """Why `step` of this run failed; None when it did not, or ended without a word."""
        found = self._read(step, "failed")
        return None if found is None else found.decode()

    def _read(self, step: str, kind: str) -> bytes | None:
        try:
            with s3_files(self.settings).open_input_stream(self._path(step, kind)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def keep_failure(self, error: LakehouseError) -> None:
        """Keep why this step failed, for the step that records the run."""
        with s3_files(self.settings).open_output_stream(self._path(self.name, "failed")) as stream:
            stream.write(str(error).encode())

    def keep(self, result: dict[str, Any]) -> None:
        """Keep this step's result for the later ones; running the step again replaces it."""
        with s3_files(self.settings).open_output_stream(self._path(self.name)) as stream:
            stream.write(json.dumps(result).encode())

    def forget(self) -> None:
        """Remove what an earlier try of this step left, so that nobody reads it."""
        files = s3_files(self.settings)
        for kind in ("json", "failed"):
            if files.get_file_info(path := self._path(self.name, kind)).is_file:
                files.delete_file(path)

    def _path(self, step: str, kind: str = "json") -> str:
        return f"{self.settings.bucket}/runs/{self.run.id}/{step.replace(' ', '-')}.{kind}"
