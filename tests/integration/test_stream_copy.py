"""The initial copy is a generation: seen when it is whole, and thrown away whole when it begins again."""

from catalog.positions import Position
from catalog.tables.cdc import NEXT_GENERATION, POSITION_PROPERTY
from connectors.source import connected
from connectors.worker import Worker

MAIN = ("payment_types", "trips", "vendors")


def test_the_mirror_was_empty_until_the_copy_was_whole(stack):
    stack.verified("trips")
    table = stack.iceberg("trips")
    first = table.snapshot_by_id(table.history()[0].snapshot_id)
    copied = Position.from_json(first.summary[POSITION_PROPERTY])
    assert int(first.summary["total-records"]) == stack.trips_before_the_copy, "the first snapshot that readers saw"
    assert (copied.generation, copied.copy) == (1, None)
    parts = [first]
    while parts[-1].parent_snapshot_id is not None:
        parts.append(table.snapshot_by_id(parts[-1].parent_snapshot_id))
    assert len(parts) > 1, "the copy took several commits, none of them on the main branch"
    assert {part.snapshot_id for part in parts[1:]}.isdisjoint(entry.snapshot_id for entry in table.history())
    assert NEXT_GENERATION not in table.metadata.refs


def test_a_lost_slot_is_named_and_a_new_copy_leaves_no_ghosts(stack):
    """Changes come and go while nobody listens: the rows deleted then are in no event."""
    settings = stack.settings
    stack.traffic(50, seed=11)
    stack.verified(*MAIN)
    generation = stack.table("public.trips")["generation"]
    worker = Worker(settings)
    worker.stop(settings.connector)
    stack.until(lambda: worker.status(settings.connector)["connector"]["state"] == "STOPPED", "the connector stops")
    with connected(settings, "postgres") as connection:
        stack.until(lambda: not connection.execute(ACTIVE).fetchone()[0], "the slot is free")
        stack.execute(
            "delete from trips where trip_id % 100 = 3", "update trips set note = 'missed' where trip_id % 100 = 4"
        )
        connection.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", [settings.slot])
        refused = stack.lake("connect")
        assert refused.returncode == 2 and "something else moved the slot" in " ".join(refused.stderr.split())
        assert "lake connect reset" in refused.stderr
        connection.execute("select pg_drop_replication_slot(%s)", [settings.slot])

    refused = stack.lake("connect")
    assert refused.returncode == 2
    assert f"its replication slot {settings.slot} is gone" in " ".join(refused.stderr.split())
    assert "lake connect reset" in refused.stderr

    mended = stack.lake("connect", "reset")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    stack.until(lambda: stack.table("public.trips")["generation"] > generation, "the new copy is whole")
    report = stack.verified(*MAIN)
    ((rows,),) = stack.source("select count(*) from trips")
    assert report.tables[1].rows_compared == rows
    assert stack.lake_rows("select count(*), count(distinct trip_id) from taxi_cdc.trips") == [(rows, rows)]
    stack.traffic(50, seed=12)
    stack.verified(*MAIN)
    stack.real_time_verified()


ACTIVE = "select coalesce(bool_or(active), false) from pg_replication_slots where slot_name = 'lakehouse'"
