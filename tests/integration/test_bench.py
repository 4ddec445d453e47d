"""The benchmarks at tiny sizes: they run on real components, print every figure and leave nothing behind."""

import json
import subprocess
import sys

import duckdb
import pytest

from catalog.settings import PROJECT
from stack import s3

WRITERS = ("lookup", "merge-v3", "merge-cow")
LOSING_WRITER = """
import json
from bench import apply, writers
from bench.trips import Shape
from catalog.settings import load_settings

writers.SparkMerge.apply = lambda self: None
names = [writers.WriterName.LOOKUP, writers.WriterName.MERGE_V3]
print(json.dumps({"equal": apply.compare(load_settings(), [500], 50, 1, Shape.RECENT, names).equal}))
"""
"""One of two writers loses every batch. In a process of its own, because Spark is stopped at the end."""


@pytest.fixture(scope="module")
def applied(stack):
    done = stack.lake(
        "bench", "apply", "--rows", "3000,6000", "--changes", "400", "--rounds", "2", "--json", seconds=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_every_writer_is_measured_on_every_size(applied):
    measured = {(each["writer"], each["rows"]) for each in applied["results"]}
    assert measured == {(writer, rows) for writer in WRITERS for rows in (3000, 6000)}
    for each in applied["results"]:
        assert len(each["rounds"]) == 2
        assert each["cpu_seconds_per_batch"] > 0 and each["rows_per_second"] > 0
        assert each["median"]["bytes_written"] > 0 and each["median"]["files_touched"] > 0
        assert {"writer", "writer (JVM)", "store", "catalog", "postgres"} <= each["median"]["cpu_seconds"].keys()


def test_the_writers_make_the_same_table(applied):
    assert applied["equal"] == {"3000": True, "6000": True}


def test_ratios_and_growth_are_told(applied):
    assert applied["ratios"].keys() == {"3000", "6000"}
    assert all(ratio.keys() == {"merge-v3", "merge-cow"} for ratio in applied["ratios"].values())
    assert applied["growth"].keys() == set(WRITERS)


def test_what_it_ran_on_is_told(applied):
    machine = applied["machine"]
    assert machine["processors"] > 0 and machine["memory_bytes"] > 0
    assert {"python", "pyspark", "iceberg", "postgres", "kafka", "debezium"} <= machine["versions"].keys()
    assert "unknown" not in machine["versions"].values()
    assert all(applied["peak_memory"][name] > 1 << 20 for name in ("writer", "writer (JVM)", "store", "postgres"))


def test_tables_and_files_are_gone(applied, stack):
    namespaces = {name for (name,) in stack.lake_rows("select schema_name from information_schema.schemata")}
    assert "bench" not in namespaces
    listed = s3.request(stack.settings, "GET", "list-type=2&prefix=warehouse%2Fbench%2F")
    assert listed.is_success and "<Key>" not in listed.text


def test_tables_that_differ_are_told(stack):
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOSING_WRITER],
        env=stack.environment, cwd=PROJECT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"equal": {"500": False}}


def test_the_unfriendly_case_is_measured_beside_the_friendly_one(stack):
    done = stack.lake(
        "bench", "apply", "--hard", "--rows", "3000", "--files", "40", "--changes", "300", "--rounds", "2", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    hard = json.loads(done.stdout)
    assert hard["equal"] is True and len(hard["ratios"]) == len(hard["rounds"]) == 2 and hard["ratio"] > 0
    assert [(case["keys"], case["files"]) for case in hard["cases"]] == [("integer", 1), ("uuid", 40)]
    assert hard["files_left"][1] < 40, "small files are merged"


def test_a_changed_table_is_read_beside_a_fresh_one(stack):
    done = stack.lake("bench", "read", "--rows", "3000", "--epochs", "2", "--changes", "300", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    read = json.loads(done.stdout)
    assert {each["engine"] for each in read["reads"]} >= {"DuckDB", "Spark"}
    assert all(each["equal"] and each["fresh_seconds"] > 0 for each in read["reads"]) and read["vectors"] > 0


def test_a_copy_is_timed_and_leaves_nothing(stack):
    done = stack.lake("bench", "copy", "--rows", "2000", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    copied = json.loads(done.stdout)
    assert copied["complete"] is True and copied["rows"] == 2000 and copied["rows_per_second"] > 0
    assert stack.source("select to_regclass('public.bench_copy')") == [(None,)]
    for name in ("bench_copy", "bench_copy_cdc"):
        with pytest.raises(duckdb.Error, match="does not exist"):
            stack.lake_rows(f"select count(*) from taxi_cdc.{name}")


def test_latency_is_read_from_every_table(stack):
    done = stack.lake("bench", "latency", "--seconds", "3", "--rate", "50", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    latency = json.loads(done.stdout)
    assert latency["visible"].keys() == {"taxi_cdc.trips", "realtime.trip_aggregations", "realtime.zone_activity"}
    assert all(0 < seen["median"] <= seen["largest"] and seen["events"] for seen in latency["visible"].values())
    assert {"stream", "stream (JVM)", "connect", "kafka", "postgres", "store"} <= latency["cpu_seconds"].keys()


@pytest.mark.parametrize("origin", ["kafka", "postgres"])
def test_a_backlog_is_timed(stack, origin):
    done = stack.lake("bench", "drain", "--changes", "2000", "--from", origin, "--json", seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    drained = json.loads(done.stdout)
    assert drained["complete"] is True and drained["changes"] == 2000
    last = drained["phases"][-1]
    assert last["events"] == 2000 and last["events_per_second"] > 0 and last["cpu_per_thousand"] > 0
    assert {"stream", "stream (JVM)", "connect", "kafka", "postgres", "store"} <= last["cpu_seconds"].keys()
    stack.until(lambda: stack.status().get("state") == "running", "the stream runs again")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("apply", "--rows", "0"), "not a number of rows"),
        (("apply", "--writers", "lookup,fastest"), "none of lookup"),
        (("drain", "--from", "oracle"), "none of kafka, postgres"),
    ],
)
def test_wrong_options_are_named(stack, arguments, complaint):
    done = stack.lake("bench", *arguments)
    assert done.returncode == 2
    assert complaint in " ".join(done.stderr.split())
