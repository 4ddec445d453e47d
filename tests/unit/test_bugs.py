"""Each planted bug does to events what its name says; that the checks notice it shows `lake conformance --sabotage`."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from conformance.bugs import BUGS
from conformance.sabotage import AMOUNT, AT
from streaming.envelope import Events

ROWS = pa.schema(
    [
        ("id", pa.int32()),
        ("made", pa.timestamp("us", "UTC")),
        ("amount", pa.decimal128(20, 2)),
        ("label", pa.string()),
        ("body", pa.string()),
    ]
)
TWISTED = {bug.name: bug.twist for bug in BUGS}


def events() -> Events:
    """Two inserts, two updates of one row in a transaction that leave its body out, and a change of the other's key."""
    happened = [("c", 1, 10), ("c", 2, 10), ("u", 1, 20), ("u", 1, 20), ("d", 2, 30), ("c", 3, 30)]
    images = [
        {"id": key, "made": AT, "amount": AMOUNT, "label": f"{op}{place}", "body": None if op == "u" else "long"}
        for place, (op, key, _) in enumerate(happened)
    ]
    count, nothing = len(happened), dict.fromkeys(ROWS.names)
    return Events(
        op=[op for op, _, _ in happened],
        partition=pa.array([0] * count, pa.int32()),
        offset=pa.array(range(count), pa.int64()),
        previous_commit_lsn=pa.array([transaction - 1 for *_, transaction in happened], pa.int64()),
        lsn=pa.array([10, 11, 20, 21, 30, 30], pa.int64()),
        transaction_id=pa.array([transaction for *_, transaction in happened], pa.int64()),
        committed_at=pa.array([datetime.fromtimestamp(at, UTC) for *_, at in happened], pa.timestamp("us", "UTC")),
        copy_marker=["false"] * count,
        before=pa.Table.from_pylist([{**nothing, "id": key} for _, key, _ in happened], ROWS),
        after=pa.Table.from_pylist([nothing if i["label"][0] == "d" else i for i in images], ROWS),
        placeholders={"body": np.array([op == "u" for op, _, _ in happened])},
    )


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("an event is lost", [0, 1, 2, 4, 5]),
        ("an event is lost that a later one covers", [0, 1, 3, 4, 5]),
        ("an event is lost in the changelog alone", [0, 1, 2, 4, 5]),
        ("an event is applied twice", [0, 1, 2, 2, 3, 3, 4, 5]),
        ("events are put in order by ts_ms", [0, 1, 3, 2, 4, 5]),
        ("a delete is ignored", [0, 1, 2, 3, 5]),
        ("an old key stays as a ghost", [0, 1, 2, 3, 5]),
    ],
)
def test_events_go_come_or_change_places(name: str, left: list[int]):
    assert TWISTED[name](events()).offset.to_pylist() == left


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("keys are swapped", "id", [3, 2, 1, 1, None, 1]),
        (
            "a decimal goes through a double",
            "amount",
            [Decimal("12345678901234568.00")] * 4 + [None, Decimal("12345678901234568.00")],
        ),
        ("a time zone is shifted", "made", [AT.replace(hour=7)] * 4 + [None, AT.replace(hour=7)]),
        (
            "the placeholder of a long value is taken for it",
            "body",
            ["long", "long", *["__debezium_unavailable_value"] * 2, None, "long"],
        ),
    ],
)
def test_values_are_wrong(name: str, column: str, values: list):
    original = events()
    twisted = TWISTED[name](original)
    assert twisted.after[column].to_pylist() == values
    assert original.after.equals(events().after), "what the changelog gets is not touched"


def test_each_bug_has_a_name_of_its_own():
    assert len(TWISTED) == len(BUGS)
