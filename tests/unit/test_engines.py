"""What all engines are asked in their own words, how answers are compared, and Trino's types and jars."""

from collections import namedtuple
from decimal import Decimal

import pyarrow as pa
import pytest
from sqlglot.expressions import DataType

from catalog.errors import ConfigurationError, HistoryError
from catalog.java import TRINO, find_java
from catalog.settings import Settings
from catalog.time_travel import pin_tables
from catalog.trino import arrow_array, arrow_type
from lake.comparison import ENGINES, first_difference
from lake.questions import QUESTIONS
from stack import jars


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.about)
def test_every_question_can_be_pinned_in_every_engine(question, engine):
    text = question.text(engine)
    assert text
    if question.past == "all":
        with pytest.raises(HistoryError):
            pin_tables(question.spoken["spark"], "spark", lambda name: 7)
        return
    assert "7" in pin_tables(text, engine, lambda name: 7).replace(text, "")


def test_there_are_twenty_questions_and_each_asks_something_else():
    assert len({question.about for question in QUESTIONS}) == len(QUESTIONS) == 20


def test_answers_are_compared_by_value_to_the_last_row():
    here = [(1, Decimal("1.50"), None), (2, float("nan"), {"a": [1]})]
    assert not first_difference(here, [(1.0, Decimal("1.5"), None), (Decimal(2), float("nan"), {"a": [1]})])
    assert first_difference(here, here[:1]) == "2 and 1 rows"
    assert first_difference(here, [here[0], (2, 0.0, {"a": [1]})]).startswith("row 2: ")
    assert first_difference([(None,)], [(0,)]) and first_difference([(1, 2)], [(1,)])


@pytest.mark.parametrize(
    ("trino", "arrow"),
    [
        ("decimal(38,2)", pa.decimal128(38, 2)),
        ("timestamp(6) with time zone", pa.timestamp("us", "UTC")),
        ("timestamp(6)", pa.timestamp("us")),
        ("varchar(3)", pa.string()),
        ("json", pa.string()),
        ("uuid", pa.string()),
        ("varbinary", pa.binary()),
        ("real", pa.float32()),
        ("unknown", pa.null()),
        ("map(varchar, bigint)", pa.map_(pa.string(), pa.int64())),
        ('array(row(a bigint, "b c" date))', pa.list_(pa.struct([("a", pa.int64()), ("b c", pa.date32())]))),
    ],
)
def test_trinos_types(trino, arrow):
    assert arrow_type(DataType.build(trino, dialect="trino")) == arrow


def test_rows_within_trinos_rows_become_structs():
    row = namedtuple("row", ("a", "b"))
    kind = arrow_type(DataType.build("array(row(a bigint, b row(c varchar)))", dialect="trino"))
    inner = namedtuple("inner", ("c",))
    assert arrow_array([[row(1, inner("x"))], [], None], kind).to_pylist() == [[{"a": 1, "b": {"c": "x"}}], [], None]


def test_the_server_and_its_plugin_are_whole_and_apart():
    names = set(jars.read_sums(jars.TRINO))
    assert {"server/trino-main-483.jar", "iceberg/trino-iceberg-483.jar", "iceberg/trino-hive-483.jar"} <= names
    given = ("trino-spi", "slice", "jackson-annotations", "opentelemetry-api", "opentelemetry-context")
    assert not [name for name in names for jar in given if name.startswith(f"iceberg/{jar}-")]
    assert all(any(name.startswith(f"server/{jar}-") for name in names) for jar in given)


def test_a_java_without_a_compiler_does_not_do_for_trino(tmp_path):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho java.base@25.0.1\necho jdk.incubator.vector@25.0.1\n")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"lacks the module jdk\.compiler") as refused:
        find_java(Settings(state_dir=tmp_path, java25_home=tmp_path), TRINO)
    assert "LAKE_JAVA25_HOME" in refused.value.remedy
