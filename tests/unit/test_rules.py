"""Every rule of exactly once has tests, and those that are named are there."""

import importlib.util
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("rules", PROJECT / "tests" / "rules.py")
rules = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rules)


def test_there_are_thirteen():
    assert list(rules.RULES) == list(range(1, 14))


@pytest.mark.parametrize("number", rules.RULES)
def test_a_rule_has_tests_and_the_code_that_it_names(number):
    rule = rules.RULES[number]
    named = [*rule.tests, *(sabotage.test for sabotage in rule.without)]
    assert named
    for test in named:
        file, name = test.split("::")
        assert re.search(rf"^def {name}\(", (PROJECT / file).read_text(), re.MULTILINE), test
    for sabotage in rule.without:
        assert (PROJECT / sabotage.file).read_text().count(sabotage.text) == 1, sabotage
