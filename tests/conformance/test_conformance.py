"""Each situation on the real chain: what DuckDB finds in the lake is what the situation's declaration says."""

from collections import Counter

import pytest

from conformance.run import Finding, run
from conformance.situations import SITUATIONS

FAST = [situation for situation in SITUATIONS if not situation.slow]


@pytest.fixture(scope="module")
def findings(stack) -> dict[str, Finding]:
    """All of them at once: what takes time is to join tables and to wait."""
    return {finding.name: finding for finding in run(stack.settings, FAST, print)}


@pytest.mark.parametrize("name", [situation.name for situation in FAST])
def test_a_situation(findings, name: str):
    assert not findings[name].wrong, findings[name].expected


def test_each_has_a_name_and_a_table_of_its_own():
    assert not [name for name, count in Counter(s.name for s in SITUATIONS).items() if count > 1]
    assert not [name for name, count in Counter(s.table_name.lower() for s in SITUATIONS).items() if count > 1]
