"""DAGs stay thin: they know when, the step knows how. Read as text: Airflow is not in this environment."""

import ast
import re
import sys
from pathlib import Path

import pytest

from batch.steps import STEPS
from catalog.settings import PROJECT
from catalog.tables import TABLES

FILES = sorted((PROJECT / "dags").glob("*.py"))
SHARED = {"steps.py", "alerts.py"}
DAGS = [path for path in FILES if path.name not in SHARED]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def calls(path: Path, names: tuple[str, ...]) -> list[ast.Call]:
    tree = ast.walk(ast.parse(path.read_text()))
    return [node for node in tree if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_imports_the_standard_library_airflow_and_declarations(path: Path):
    foreign = {name for name in imported(path) if name.partition(".")[0] not in sys.stdlib_module_names}
    assert all(re.fullmatch(r"airflow(\..+)?|dags\.\w+|catalog\.tables", name) for name in foreign), foreign
    assert "os" not in imported(path), "settings come by Airflow's environment, which the stack writes"


def test_the_three_dags_are_there_and_nothing_else_is_read_as_one():
    assert [path.stem for path in DAGS] == [
        "comprehensive_analytics_pipeline", "nyc_taxi_iceberg_etl", "nyc_weather_etl",
    ]  # fmt: skip
    assert set((PROJECT / "dags" / ".airflowignore").read_text().split()) == SHARED


def test_every_step_of_batch_is_one_task_and_every_task_a_step():
    steps = [call.args[1] for path in DAGS for call in calls(path, ("here", "submitted"))]
    named = [step.value for step in steps if isinstance(step, ast.Constant)]
    assert sorted(named) == sorted(STEPS)


def test_every_asset_is_a_declared_table_that_this_dag_writes_or_waits_for():
    declared = {table.identifier: table for table in TABLES}
    for path in DAGS:
        for call in calls(path, ("asset",)):
            table = declared[call.args[0].value]
            assert table.writer == path.stem or path.stem == "comprehensive_analytics_pipeline"
