"""What is told of the real-time tables: how far they are, and that they fail."""

import json

from streamlit.testing.v1 import AppTest

from serving.api.heads import Head
from serving.api.routes.operations import _realtime, _verified

SAID = {
    "state": "running",
    "reason": "",
    "seconds_behind_source": 1.5,
    "alerts": 2,
    "last_commit_at": "2026-01-31T12:00Z",
}


def head(table: str, **offsets: int) -> Head:
    entry = type("Entry", (), {"next_offsets": {int(name[1:]): offset for name, offset in offsets.items()}})()
    return Head(table, True, entry)


def test_they_are_as_far_behind_as_the_mirror_is_ahead_of_them():
    heads = [head("taxi_cdc.trips", p0=120, p1=7), head("realtime.trip_aggregations", p0=100)]
    told = _realtime({"realtime": SAID}, heads)
    assert told == {**SAID, "reason": None, "records_behind": 27}


def test_nothing_is_made_up_of_what_nobody_knows():
    assert _realtime(None, []) is None
    waiting = _realtime({}, [head("taxi_cdc.trips", p0=120)])
    assert waiting["state"] == "waiting"
    assert {waiting[name] for name in ("records_behind", "seconds_behind_source", "alerts", "reason")} == {None}


def test_cells_that_differ_are_not_shown_to_whoever_may_see_the_pipeline(tmp_path):
    table = {"table": "public.trips", "equal": False, "lsn": "0/1A", "known_to_differ": 1}
    (tmp_path / "verified.json").write_text(json.dumps([{**table, "differences": [{"key": {"trip_id": 7}}]}]))
    assert _verified(tmp_path) == [table]


def page() -> None:
    from serving.dashboard.views.pipeline import _realtime as shown
    from serving.status import RealtimeTables

    failing = {"state": "failing", "reason": "the mirror lacks pickup_at", "records_behind": 1234}
    shown(RealtimeTables(seconds_behind_source=None, last_commit_at=None, alerts=0, **failing))


def test_the_page_shows_that_they_fail_and_how_far_behind_they_are():
    drawn = AppTest.from_function(page).run()
    assert [(each.label, each.value) for each in drawn.metric] == [
        ("State", "failing"), ("Behind the mirror", "1,234"), ("Behind the source", "–"), ("Open alerts", "0"),
    ]  # fmt: skip
    assert "the mirror lacks pickup_at" in drawn.error[0].value
