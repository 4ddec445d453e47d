"""The real-time tables against what they would be if they were made anew, once they have all that was committed."""

from __future__ import annotations

import time

from catalog.settings import Settings
from catalog.tables.realtime import WATCHED
from catalog.verification.barrier import pass_barrier, topic_targets
from catalog.verification.realtime import RealtimeReport, verify_realtime


def recomputed(settings: Settings, seconds: float) -> RealtimeReport:
    """Raises VerificationError when they do not come that far within so many seconds."""
    pass_barrier(settings, time.monotonic() + seconds)
    topic = f"{settings.topic_prefix}.{WATCHED.table.removeprefix('public.')}"
    return verify_realtime(settings, topic_targets(settings, [topic])[topic], seconds)
