"""What is said of a connector that failed: the cause in one line, and the command that mends it."""

from pathlib import Path

import pytest

from catalog.settings import Settings
from connectors.registration import _cause, _failure

TRACE = """org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: org.apache.kafka.connect.errors.ConnectException: Error while processing event at offset {lsn=33294248}
\t... 10 more
Caused by: io.debezium.DebeziumException: {cause}
\t... 19 more
"""
UNCONVERTIBLE = "Failed to properly convert data value for 'public.odd.v' of type _numeric"


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        (UNCONVERTIBLE, "lake remove public.odd, then lake add public.odd"),
        ("Cannot obtain valid replication slot: slot does not exist", "lake connect reset"),
        ("it is late", "mend what the last 'Caused by' names"),
    ],
)
def test_the_last_cause_and_what_to_do(cause: str, remedy: str):
    trace = TRACE.replace("{cause}", cause)
    status = {"connector": {"state": "RUNNING"}, "tasks": [{"state": "FAILED", "trace": trace}]}
    failure = _failure(Settings(_env_file=None, state_dir=Path("/nowhere")), status, _cause(trace))
    assert str(failure.args[0]).endswith(f"\n{cause}")
    assert remedy in failure.remedy


def test_a_trace_without_a_cause_tells_its_first_line():
    assert (
        _cause("java.lang.OutOfMemoryError: Java heap space\n\tat A") == "java.lang.OutOfMemoryError: Java heap space"
    )
