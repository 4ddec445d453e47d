"""Checkpoints and topics that are not what they were: nothing is lost, nothing is applied twice, nothing is guessed."""

import shutil
import signal
import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from catalog.settings import PROJECT
from connectors.inspection import partitions
from connectors.topics import ensure_topics
from stack.supervision import Supervisor

MAIN = ("payment_types", "trips", "vendors")


def state_of_the_lake(stack, *tables: str) -> dict[str, list[tuple]]:
    """Every row of mirrors and changelogs, and their current snapshots."""
    found = {}
    for name in tables:
        found[name] = stack.lake_rows(f"select * from taxi_cdc.{name} order by 1")
        found[f"{name}_cdc"] = stack.changelog(name)
        found[f"{name} snapshot"] = [(stack.iceberg(name).current_snapshot().snapshot_id,)]
    return found


def running_again(stack, pid: int) -> None:
    stack.until(
        lambda: stack.status()["pid"] != pid and stack.status()["state"] == "running", "another stream process runs"
    )


def test_a_checkpoint_deleted_while_running_changes_nothing(stack):
    stack.traffic(100, seed=21)
    stack.verified(*MAIN)
    before = state_of_the_lake(stack, *MAIN)
    shutil.rmtree(stack.settings.state_dir / "checkpoints")
    stack.until(lambda: stack.status()["state"] == "running", "the stream runs")
    assert state_of_the_lake(stack, *MAIN) == before
    stack.traffic(50, seed=22)
    stack.verified(*MAIN)


def test_a_checkpoint_deleted_while_stopped_changes_nothing(stack):
    stack.verified(*MAIN)
    before, pid = state_of_the_lake(stack, *MAIN), stack.status()["pid"]
    supervisor = Supervisor(stack.settings)
    supervisor.stop_program("stream")
    shutil.rmtree(stack.settings.state_dir / "checkpoints")
    supervisor.start_program("stream")
    running_again(stack, pid)
    assert state_of_the_lake(stack, *MAIN) == before
    stack.traffic(50, seed=23)
    stack.verified(*MAIN)


FROM_THE_START = """
import sys

from streaming import __main__ as job
from streaming.driver import Driver
from streaming.table import TableStream

start, lowest, apply = Driver._start, TableStream.lowest, TableStream.apply

def start_at_zero(driver):
    TableStream.lowest = lambda stream, partition: 0
    try:
        return start(driver)
    finally:
        TableStream.lowest = lowest

def apply_and_tell(stream, records, ranges, pool):
    count = apply(stream, records, ranges, pool)
    sys.stdout.write(f"epoch {stream.name} {len(records)} {count}\\n")  # in one piece: tables are applied by threads
    sys.stdout.flush()
    return count

Driver._start, TableStream.apply = start_at_zero, apply_and_tell
job.main()
"""


def test_topics_read_again_from_the_start_change_nothing(stack, tmp_path):
    """The real job with one change: its query starts at offset 0 whatever the tables' positions are."""
    stack.verified(*MAIN)
    before = state_of_the_lake(stack, *MAIN)
    supervisor, pid = Supervisor(stack.settings), stack.status()["pid"]
    supervisor.stop_program("stream")
    arguments = [sys.executable, "-P", "-c", FROM_THE_START]
    with open(tmp_path / "said", "w") as said:
        job = subprocess.Popen(arguments, env=stack.environment, cwd=PROJECT, stdout=said)

    def epochs() -> list[list[str]]:
        lines = (tmp_path / "said").read_text().splitlines()
        return [line.split() for line in lines if line.startswith("epoch public.trips ")]

    try:
        running_again(stack, pid)
        stack.until(lambda: sum(int(read) for _, _, read, _ in epochs()) > 5_000, "it read the topic from the start")
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(90)
        supervisor.start_program("stream")
    running_again(stack, job.pid)
    assert sum(int(applied) for *_, applied in epochs()) == 0
    assert state_of_the_lake(stack, *MAIN) == before


@pytest.fixture
def admin(stack) -> AdminClient:
    return AdminClient({"bootstrap.servers": stack.settings.kafka})


def recreate(stack, admin: AdminClient, topic: str) -> None:
    admin.delete_topics([topic])[topic].result(30)
    stack.until(lambda: topic not in admin.list_topics(timeout=10).topics, "the topic is gone")
    ensure_topics(stack.settings)


def shorten(stack, admin: AdminClient, topic: str) -> None:
    """Records beyond the position are lost: the stream is away while they come and go."""
    end = stack.until(lambda: _end(stack, topic), "the topic has an end")
    place = TopicPartition(topic, 0, end)
    admin.delete_records([place])[place].result(30)


def _end(stack, topic: str) -> int:
    return partitions(stack.settings, topic)[0].end


def spread(stack, admin: AdminClient, topic: str) -> None:
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)


@pytest.mark.parametrize(
    ("name", "damage", "cause", "mends"),
    [
        ("recreated", recreate, "was created again", True),
        ("shortened", shorten, "lost records", True),
        ("spread", spread, "has 2 partitions, the table knows 1", False),
    ],
)
def test_a_damaged_topic_stops_its_table_alone(stack, joined, admin, name, damage, cause, mends):
    table, topic, healthy = joined[name], joined.topic(name), joined["tokens"]
    stack.execute(f"insert into {table} values (1, 'before')")
    stack.verified(table)
    supervisor = Supervisor(stack.settings)
    if damage is shorten:
        supervisor.stop_program("stream")
        at = _end(stack, topic)
        stack.execute(f"insert into {table} values (2, 'lost')")
        stack.until(lambda: _end(stack, topic) > at, "the record is in the topic")
    damage(stack, admin, topic)
    if damage is shorten:
        supervisor.start_program("stream")
    stack.execute(f"insert into {table} values (3, 'after')")
    stack.until(lambda: stack.table(table).get("state") == "stopped", "the table stops")
    assert cause in stack.table(table)["reason"]
    assert stack.table(table)["remedy"]
    stack.execute(f"insert into {healthy} values (gen_random_uuid(), 'goes on')")
    stack.verified(healthy)
    done = stack.lake("resync", table)
    if not mends:
        assert done.returncode == 2 and "several partitions" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    stack.execute(f"insert into {table} values (4, 'later')")
    stack.verified(table, healthy)
