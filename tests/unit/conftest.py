"""Hypothesis profiles: the same examples on every run by default, many new ones with HYPOTHESIS_PROFILE=long.

Makes the package `streaming_model` beside the tests importable, which importlib mode does not.
"""

import logging
import os
import sys
from pathlib import Path

import structlog
from hypothesis import HealthCheck, settings

sys.path.append(str(Path(__file__).parent))

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", max_examples=300, deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("long", max_examples=5000, deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
