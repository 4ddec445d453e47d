"""A row's whole life, two points compared, and a mirror set back that ends equal again."""

import json
import threading
from datetime import UTC, datetime

from catalog.verification import Difference, TableReport, VerificationReport
from catalog.verified import keep, kept

NOW = "select clock_timestamp()"


def told(stack, *command: str) -> dict | list:
    """What a command says with --json."""
    done = stack.lake(*command, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_row_is_followed_through_its_life_and_two_points_are_compared(stack, joined):
    table, mirror = joined["lived"], joined.mirror("lived")
    stack.execute(
        f"insert into {table} values (1, 10, 'a'), (5, 50, 'e'), (6, 60, null)",
        f"update {table} set amount = 11 where id = 1",
    )
    ((before,),) = stack.source(NOW)
    stack.execute(
        f"update {table} set id = 2, note = 'moved' where id = 1",
        f"begin; update {table} set note = null where id = 2; insert into {table} values (7, 70, 'g'); commit",
        f"delete from {table} where id = 5",
    )
    ((after,),) = stack.source(NOW)
    stack.execute(f"delete from {table} where id = 2")
    stack.verified(table)
    for key in ("1", "2"):
        life = told(stack, "history", mirror, "--key", key)
        assert [event["op"] for event in life] == ["c", "u", "d", "c", "u", "d"]
        assert [event["changed"] for event in life[1:2] + life[3:5]] == [
            {"amount": [10, 11]}, {"id": [1, 2], "note": ["a", "moved"]}, {"note": ["moved", None]}
        ]  # fmt: skip
        assert (life[2]["moved_to"], life[3]["moved_from"]) == ({"id": 2}, {"id": 1})
        assert life[2]["transaction_id"] == life[3]["transaction_id"] != life[4]["transaction_id"]
        ids = [event["transaction_id"] for event in life]
        assert ids == sorted(ids) and all(event["lsn_text"] for event in life)
    found = told(stack, "diff", mirror, f"time:{before.isoformat()}", f"time:{after.isoformat()}")
    assert [found[kind] for kind in ("added", "removed", "changed")] == [2, 2, 0]
    rows = {row["key"]["id"]: (row["kind"], row["columns"]) for row in found["rows"]}
    assert rows[2] == ("added", {"amount": [None, 11]}) and rows[5][0] == "removed"
    assert rows[7] == ("added", {"amount": [None, 70], "note": [None, "g"]})
    assert told(stack, "diff", mirror, f"time:{after.isoformat()}")["removed"] == 1


def test_a_mirror_set_back_under_traffic_ends_equal(stack):
    began = datetime.now(UTC)
    traffic = threading.Thread(target=stack.traffic, args=(600, 41), kwargs={"rate": 50})
    traffic.start()
    stack.until(lambda: len(since(stack, began)) > 3, "some epochs")
    target = since(stack, began)[0]
    done = stack.lake("rollback", "trips", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    traffic.join()
    assert [entry.snapshot_id for entry in stack.iceberg("trips").metadata.snapshot_log].count(target) == 2
    stack.verified("trips")
    stack.real_time_verified()
    refused = stack.lake("rollback", "taxi_cdc.trips_cdc", str(stack.iceberg("trips_cdc").metadata.current_snapshot_id))
    assert refused.returncode == 2 and "belongs to the stream" in refused.stderr


def test_what_a_verification_finds_is_an_alert_until_the_next_finds_all_equal(stack):
    def alerts(cleared: str) -> list:
        query = f"select value from iceberg.realtime.alerts where rule = 'difference' and cleared_at is {cleared}"
        return stack.lake_rows(query)

    found = TableReport("public.vendors", 5, 1, differences=(Difference({"vendor_id": 1}, "missing"),))
    keep(stack.settings.state_dir, VerificationReport(1, (found,), 0.1))
    assert stack.until(lambda: alerts("null"), "the alert is raised") == [(1.0,)]
    done = stack.lake("verify", "vendors", "--follow", "--rounds", "1", "--cpu", "2", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["equal"], done.stdout + done.stderr
    (kept_,) = [each for each in kept(stack.settings.state_dir) if each["table"] == "public.vendors"]
    assert kept_["equal"] and kept_["lsn"] == json.loads(done.stdout)["lsn"]
    assert stack.until(lambda: not alerts("null") and alerts("not null"), "it is over")


def since(stack, began: datetime) -> list[int]:
    """Snapshots of the mirror's main line that were committed since, oldest first."""
    log = stack.iceberg("trips").metadata.snapshot_log
    return [entry.snapshot_id for entry in log if entry.timestamp_ms > began.timestamp() * 1000]
