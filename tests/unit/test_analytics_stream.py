"""A mirror that is not kept fresh fails with what to do, from the streaming job's own status."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from batch.analytics.stream import require_fresh
from catalog.errors import BatchError
from catalog.settings import Settings

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RUNNING = {"state": "running", "reason": "", "remedy": ""}


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path)


def says(
    settings: Settings, *, age: float = 1, state: str = "running", error: str = "", realtime=None, **tables
) -> None:
    status = {
        "updated_at": (NOW - timedelta(seconds=age)).isoformat(),
        "state": state,
        "error": error,
        "tables": {f"public.{name}": table for name, table in tables.items()},
        "realtime": realtime or RUNNING,
    }
    (settings.state_dir / "stream.json").write_text(json.dumps(status))


def refusal(settings: Settings) -> str:
    with pytest.raises(BatchError) as refused:
        require_fresh(settings, NOW)
    assert refused.value.remedy
    return str(refused.value)


def test_a_stack_without_a_streaming_job(settings):
    assert "no streaming job has run here" in (message := refusal(settings))
    assert "lake up" in message


def test_a_job_that_is_silent(settings):
    says(settings, age=settings.stream_silence_seconds + 1, trips=RUNNING)
    assert "spoke 61 s ago" in refusal(settings)


def test_a_job_that_failed_says_why(settings):
    says(settings, state="failed", error="Kafka is away", trips=RUNNING)
    assert "Kafka is away" in refusal(settings)


def test_a_job_that_does_not_follow_the_trips(settings):
    says(settings, vendors=RUNNING)
    assert "does not follow public.trips" in refusal(settings)


def test_a_stopped_mirror_says_its_own_remedy(settings):
    says(settings, trips={"state": "stopped", "reason": "a column was retyped", "remedy": "lake resync trips"})
    message = refusal(settings)
    assert "taxi_cdc.trips is stopped: a column was retyped" in message
    assert "lake resync trips" in message


def test_a_mirror_that_is_still_copied(settings):
    says(settings, trips={**RUNNING, "state": "copying"})
    assert "taxi_cdc.trips is copying" in refusal(settings)


def test_real_time_tables_that_fail_say_why(settings):
    says(settings, realtime={"state": "failing", "reason": "the store is away"}, trips=RUNNING)
    assert "real-time tables are stale: the store is away" in refusal(settings)
