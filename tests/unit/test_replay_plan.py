"""Traffic is decided by seed and starting point alone, and touches only what exists at that moment."""

from itertools import islice

from connectors.plan import Cancellation, NewTrip, Rename, Start, Transaction, transactions

START = Start(tuple(range(1, 2001)), ((1, "Creative Mobile Technologies, LLC"), (2, "VeriFone Inc.")), 120_000)


def planned(seed: int, count: int = 3000, start: Start = START) -> list[Transaction]:
    return list(islice(transactions(seed, start), count))


def test_the_same_seed_gives_the_same_transactions() -> None:
    assert planned(7) == planned(7)


def test_another_seed_or_another_start_gives_others() -> None:
    assert planned(7) != planned(8)
    assert planned(7) != planned(7, start=Start(START.trips[:-1], START.vendors, START.templates))


def test_changes_touch_only_trips_that_exist_and_rollbacks_leave_nothing() -> None:
    existing = set(START.trips)
    rolled_back = 0
    for transaction in planned(3):
        inside = set(existing)
        for change in transaction.changes:
            if isinstance(change, NewTrip):
                assert change.trip not in inside
                inside.add(change.trip)
            elif not isinstance(change, Rename):
                assert change.trip in inside
            if isinstance(change, Cancellation):
                inside.remove(change.trip)
        rolled_back += not transaction.commits
        existing = inside if transaction.commits else existing
    assert rolled_back > 20


def test_every_kind_of_change_happens_and_some_transactions_hold_several() -> None:
    changes = [change for transaction in planned(5) for change in transaction.changes]
    kinds = {type(change).__name__ for change in changes}
    assert kinds == {"NewTrip", "Correction", "Remark", "Cancellation", "Rename"}
    assert any(len(transaction.changes) > 2 for transaction in planned(5))


def test_a_vendor_name_does_not_grow_with_every_rename() -> None:
    renamed = Start(START.trips, ((1, "VeriFone Inc. & Co."),), 10)
    names = {c.name for t in planned(1, start=renamed) for c in t.changes if isinstance(c, Rename)}
    assert names == {f"VeriFone Inc.{suffix}" for suffix in ("", " (New York)", " Holdings", " & Co.")}


def test_an_empty_source_begins_with_new_trips() -> None:
    first = planned(2, 1, Start((), (), 10))[0].changes[0]
    assert isinstance(first, NewTrip)
