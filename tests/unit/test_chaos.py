"""Seeded runs are the same each time, the decoder's lines are read whole, and what the lake gets wrong is counted."""

from dataclasses import replace
from itertools import islice

import pytest

from catalog.errors import ConfigurationError
from conformance.faults import FAULTS, Gap, chosen
from conformance.oracle import Event, events
from conformance.outcome import Broken, Report, count_against
from conformance.past import held
from conformance.plan import plan
from conformance.workload import transactions

KEY = ("id",)


def test_the_same_seed_gives_the_same_run():
    assert list(islice(transactions(7), 500)) == list(islice(transactions(7), 500))
    assert list(islice(transactions(7), 20)) != list(islice(transactions(8), 20))
    assert list(islice(plan(7, FAULTS), 100)) == list(islice(plan(7, FAULTS), 100))
    assert list(islice(plan(7, FAULTS), 10)) != list(islice(plan(8, FAULTS), 10))


def test_every_fault_comes_once_a_round():
    names = [planned.fault.name for planned in islice(plan(7, FAULTS), 2 * len(FAULTS))]
    assert sorted(names[: len(FAULTS)]) == sorted(names[len(FAULTS) :]) == sorted(fault.name for fault in FAULTS)


def test_faults_are_chosen_by_the_beginning_of_their_names():
    assert {fault.name for fault in chosen("kill kafka, slot")} == {"kill kafka", "slot dropped", "slot advanced"}
    assert chosen(None) == list(FAULTS) and len({fault.name for fault in FAULTS}) == len(FAULTS)
    with pytest.raises(ConfigurationError, match="no fault 'earthquake'"):
        chosen("kill,earthquake")


def test_every_kind_of_transaction_comes():
    text = " ".join(statement for each in islice(transactions(1), 3000) for statement in each.statements)
    for part in (
        "truncate @items",
        "truncate @pairs",
        "alter table",
        "rollback to",
        "set id =",
        "delete from @pairs",
        "trips",
    ):
        assert part in text
    assert any(not each.commits for each in islice(transactions(1), 100))
    assert not any("trips" in str(each.statements) for each in islice(transactions(1, example=False), 1000))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("INSERT: id[integer]:1 v[integer]:null note[text]:'it''s: a[b]:c'",
         [Event(7, "c", ("1",), (("id", "1"), ("note", "it's: a[b]:c")))]),
        ("UPDATE: old-key: id[integer]:1 v[integer]:2 new-tuple: id[integer]:1 v[integer]:3 note[text]:''",
         [Event(7, "u", ("1",), (("id", "1"), ("note", ""), ("v", "3")))]),
        ("UPDATE: id[integer]:1 v[integer]:3 note[text]:'new-tuple'",
         [Event(7, "u", ("1",), (("id", "1"), ("note", "new-tuple"), ("v", "3")))]),
        ("UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[integer]:3",
         [Event(7, "d", ("1",)), Event(7, "c", ("2",), (("id", "2"), ("v", "3")))]),
        ("UPDATE: old-key: id[integer]:1 note[text]:'long' new-tuple: id[integer]:2 note[text]:unchanged-toast-datum",
         [Event(7, "d", ("1",)), Event(7, "c", ("2",), (("id", "2"), ("note", "long")))]),
        ("DELETE: id[integer]:4 v[integer]:1", [Event(7, "d", ("4",))]),
        ("TRUNCATE: (no-flags)", [Event(7, "t", ())]),
    ],
)  # fmt: skip
def test_a_line_of_the_decoder(line, expected):
    assert events(line, KEY, 7) == expected


HISTORY = [
    Event(1, "c", ("1",), (("id", "1"), ("v", "1.50"))),
    Event(2, "u", ("1",), (("id", "1"), ("v", "2.50"))),
    Event(3, "c", ("2",), (("id", "2"),)),
    Event(4, "d", ("1",)),
    Event(5, "t", ()),
]
PLANTED = {
    "an event lost": (HISTORY[:1] + HISTORY[2:], (1, 0, 0)),
    "an event twice": ([*HISTORY, HISTORY[1]], (0, 1, 0)),
    "an ignored delete": (HISTORY[:3] + HISTORY[4:], (1, 0, 0)),
    "a lost truncate": (HISTORY[:4], (1, 0, 0)),
    "a rounded number": ([HISTORY[0], Event(2, "u", ("1",), (("id", "1"), ("v", "2.5"))), *HISTORY[2:]], (1, 0, 1)),
    "an event of nothing": ([*HISTORY, Event(6, "d", ("9",))], (0, 0, 1)),
    "a swapped key": ([Event(1, "c", ("2",), HISTORY[0].row), *HISTORY[1:]], (1, 0, 1)),
    "an event of another place": ([replace(HISTORY[0], lsn=9), *HISTORY[1:]], (1, 0, 1)),
    "another order": ([HISTORY[1], HISTORY[0], *HISTORY[2:]], (0, 0, 2)),
    "nothing wrong": (HISTORY, (0, 0, 0)),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_is_counted(planted):
    found, counted = PLANTED[planted]
    report = Report(1, 1.0)
    count_against(list(enumerate(HISTORY, start=1)), found, report)
    assert (report.lost, report.duplicated, report.wrong) == counted
    assert report.right == (planted == "nothing wrong")


GAP = [Gap("t", 1, 3)]
"""The commits of the second and third event."""


@pytest.mark.parametrize(
    ("found", "counted"),
    [
        (HISTORY[:1] + HISTORY[3:], (0, 0, 0, 2)),
        (HISTORY[:2] + HISTORY[3:], (0, 0, 0, 1)),
        (HISTORY[:3] + HISTORY[4:], (1, 0, 0, 0)),
        ([HISTORY[3], HISTORY[0], HISTORY[4]], (0, 0, 1, 2)),
        ([*HISTORY[:1], *HISTORY[3:], HISTORY[4]], (0, 1, 0, 2)),
    ],
    ids=["all of the gap lacks", "some of it", "outside of it", "another order", "one twice"],
)
def test_only_what_lies_in_a_named_gap_may_lack(found, counted):
    report = Report(1, 1.0)
    count_against(list(enumerate(HISTORY, start=1)), found, report, GAP)
    assert (report.lost, report.duplicated, report.wrong, report.in_gaps) == counted


def test_the_decoder_tells_the_rows_after_each_commit():
    copied = Event(6, "c", ("3",), (("id", "3"),))
    commits = [1, 1, 2, 2, 3, 4]
    assert held(list(zip(commits, [*HISTORY, copied], strict=True))) == {
        1: [(("id", "1"), ("v", "2.50"))],
        2: [(("id", "2"),)],
        3: [],
        4: [(("id", "3"),)],
    }


def test_recovery_is_told_by_fault_and_the_line_that_runs_it_again():
    report = Report(5, 2, "kill", faults=[Broken("kill kafka", 9, seconds) for seconds in (4.0, 1.0, 9.0)])
    assert report.recovery == {"kill kafka": (3, 4.0, 9.0)}
    assert report.again == "lake chaos --seed 5 --minutes 2 --faults 'kill'"
    assert report.right
    report.injected = 1
    assert not report.right, "a record that was not set aside"
