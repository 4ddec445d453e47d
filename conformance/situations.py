"""Every situation, in the order in which they are told."""

from __future__ import annotations

from conformance.changes import CHANGES
from conformance.large import LARGE
from conformance.logs import LOGS
from conformance.numbers import NUMBERS, TIMES
from conformance.schemas import SCHEMAS
from conformance.texts import ARRAYS, OTHERS, TEXTS

SITUATIONS = (NUMBERS, TIMES, TEXTS, OTHERS, ARRAYS, *CHANGES, *SCHEMAS, *LOGS, *LARGE)
