"""Mirror and changelog are written here with pyiceberg, Postgres by SQL: what differs between them must be found.

But for the last tests neither the connector nor the stream takes part.
"""

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from catalog.errors import VerificationError
from catalog.positions import PartitionPosition, Position
from catalog.published import read_source_tables
from catalog.readers import iceberg_catalog
from catalog.tables.cdc import POSITION_PROPERTY, changelog_schema, mirror_schema
from catalog.verification import verify
from catalog.verification.barrier import source_point
from catalog.verification.changelog import SourcePointTooOldError
from catalog.verification.coverage import pin
from catalog.verification.source_rows import key_ranges, range_key
from catalog.verification.verify import verify_table
from connectors.source import connected

COLUMNS = """
    id bigint, region text, fare numeric(10, 2), at timestamptz, local_at timestamp, day date, note text,
    ratio double precision, active boolean, payload bytea, tags integer[], extra jsonb, exact numeric,
    primary key (region, id)
"""
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = 60


def row(n):
    return {
        "id": n,
        "region": f"zone {n % 3}",
        "fare": Decimal(n) / 4,
        "at": START + timedelta(microseconds=n),
        "local_at": datetime(2026, 3, 1, 12) + timedelta(seconds=n),
        "day": date(2026, 3, 1) + timedelta(days=n),
        "note": [None, "", 'a "quoted", line\nand another', "plain"][n % 4],
        "ratio": [float("nan"), float("inf"), n / 3][n % 3],
        "active": [True, False, None][n % 3],
        "payload": [None, b"", bytes([n % 256, 0, 255])][n % 3],
        "tags": [None, [], [n, None]][n % 3],
        "extra": '{"a": [1, 2]}' if n % 2 else None,
        "exact": "1234567890.123456789012345678901234567890" if n % 2 else None,
    }


class Scene:
    """One source table and its two lake tables, all its own."""

    def __init__(self, settings):
        self.name = f"verify_{uuid.uuid4().hex[:12]}"
        self.settings = settings.model_copy(update={"publication": self.name})
        self.catalog = iceberg_catalog(settings)
        self.catalog.create_namespace_if_not_exists("taxi_cdc")
        self.run(f"create table {self.name} ({COLUMNS})", f"alter table {self.name} replica identity full")
        self.run(f"grant select on {self.name} to cdc", f"create publication {self.name} for table {self.name}")
        with connected(self.settings, "taxi") as connection:
            (self.source,) = read_source_tables(connection, self.name)
            with connection.cursor() as cursor:
                names = ", ".join(row(0))
                marks = ", ".join(["%s"] * len(row(0)))
                cursor.executemany(
                    f"insert into {self.name} ({names}) values ({marks})", [[*row(n).values()] for n in range(ROWS)]
                )

    def run(self, *statements):
        with connected(self.settings, "taxi") as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def event(self, offset, op, before, after, transaction=1):
        key = {name: (after or before or {}).get(name) for name in self.source.key}
        return {
            "op": op, "previous_commit_lsn": 1, "lsn": 1, "transaction_id": transaction,
            "committed_at": datetime.now(UTC),
            "topic_partition": 0, "topic_offset": offset, "generation": 1, "key": key, "before": before, "after": after,
        }  # fmt: skip

    def write(self, rows, events, next_offset=1000):
        """Both lake tables, as the stream would leave them at an offset."""
        position = Position("topic", {0: PartitionPosition(next_offset, 1, 1)}, 1)
        for identifier, schema, content in (
            (self.source.mirror, mirror_schema(self.source), rows),
            (self.source.changelog, changelog_schema(self.source), events),
        ):
            table = self.catalog.create_table(identifier, schema)
            table.append(
                pa.Table.from_pylist(content, schema), snapshot_properties={POSITION_PROPERTY: position.to_json()}
            )

    def verify(self, point=None):
        pinned = pin(self.catalog, self.source, {0: 1000})
        if point is not None:
            return verify_table(self.settings, point, pinned)
        with source_point(self.settings) as now:
            return verify_table(self.settings, now, pinned)

    def clear(self):
        for identifier in (self.source.mirror, self.source.changelog):
            if self.catalog.table_exists(identifier):
                self.catalog.purge_table(identifier)
        self.run(f"drop publication {self.name}", f"drop table {self.name}")


@pytest.fixture
def scene(settings):
    made = Scene(settings)
    yield made
    made.clear()


def copied(scene, rows):
    return [scene.event(offset, "r", None, each) for offset, each in enumerate(rows)]


def test_equal_tables_of_every_kind_of_type(scene):
    rows = [row(n) for n in range(ROWS)]
    scene.write(rows, copied(scene, rows))
    report = scene.verify()
    assert (report.differences, report.changelog_keys, report.unverified) == ((), (), "")
    assert report.equal
    assert (report.rows_compared, report.changelog_events) == (ROWS, ROWS)


PLANTED = {
    "missing row": (lambda rows: rows.pop(7), "missing", None),
    "extra row": (lambda rows: rows.append(row(999)), "extra", None),
    "duplicate row": (lambda rows: rows.append(row(7)), "duplicate", None),
    "one changed cent": (lambda rows: rows[7].update(fare=Decimal("1.76")), "changed", {"fare": ("1.76", "1.75")}),
    "shifted timestamp": (
        lambda rows: rows[7].update(at=START + timedelta(microseconds=8)),
        "changed",
        {"at": ("2026-03-01T12:00:00.000008+00:00", "2026-03-01T12:00:00.000007+00:00")},
    ),
    "null for empty text": (lambda rows: rows[5].update(note=None), "changed", {"note": (None, "")}),
    "empty text for null": (lambda rows: rows[4].update(note=""), "changed", {"note": ("", None)}),
    "number for NaN": (lambda rows: rows[6].update(ratio=2.0), "changed", {"ratio": (2.0, "nan")}),
    "no bytes for null": (lambda rows: rows[6].update(payload=b""), "changed", {"payload": ("", None)}),
    "other list": (lambda rows: rows[8].update(tags=[8]), "changed", {"tags": ([8], [8, None])}),
    "flipped boolean": (lambda rows: rows[6].update(active=False), "changed", {"active": (False, True)}),
    "cut digits": (lambda rows: rows[7].update(exact="1"), "changed", {"exact": ("1", row(7)["exact"])}),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_difference_is_found(scene, planted):
    plant, kind, columns = PLANTED[planted]
    rows = [row(n) for n in range(ROWS)]
    events = copied(scene, rows)
    plant(changed := [dict(each) for each in rows])
    scene.write(changed, events)
    report = scene.verify()
    assert report.differing_rows == 1
    (difference,) = report.differences
    assert difference.kind == kind
    if columns:
        assert difference.columns == columns
    assert not report.changelog_equal, "the changelog holds the true rows"


def test_swapped_keys_are_found(scene):
    rows = [row(n) for n in range(ROWS)]
    rows[9]["id"], rows[12]["id"] = rows[12]["id"], rows[9]["id"]
    scene.write(rows, copied(scene, rows))
    report = scene.verify()
    assert report.differing_rows == 2
    assert sorted(d.key["id"] for d in report.differences) == [9, 12]
    assert report.changelog_equal


def test_the_changelog_is_folded_in_the_order_of_offsets(scene):
    rows = [row(n) for n in range(ROWS)]
    old = row(1) | {"note": "old"}
    events = [
        scene.event(0, "c", None, row(500)),
        scene.event(1, "t", None, None),
        *[scene.event(10 + n, "c", None, each) for n, each in enumerate(rows) if n != 1],
        scene.event(200, "c", None, old),
        scene.event(201, "d", old, None),
        scene.event(202, "c", None, old),
        scene.event(203, "u", old, row(1)),
        scene.event(1500, "d", row(2), None),
    ]
    scene.write(rows, events)
    report = scene.verify()
    assert report.changelog_equal, report.changelog_keys
    assert report.equal
    assert report.changelog_events == ROWS + 5


def test_an_event_twice_in_the_changelog_is_found(scene):
    rows = [row(n) for n in range(ROWS)]
    events = copied(scene, rows)
    scene.write(rows, [*events, events[5]])
    report = scene.verify()
    assert report.duplicate_events == 1
    assert not report.equal


def test_changes_that_the_source_does_not_see_yet_are_undone(scene):
    rows = [row(n) for n in range(ROWS)]
    with source_point(scene.settings) as point:
        late = point.visible.xmax
        changed, twice = rows[1] | {"note": "late"}, rows[1] | {"note": "later"}
        events = [
            *copied(scene, rows),
            scene.event(100, "u", rows[1], changed, late),
            scene.event(101, "u", changed, twice, late + 1),
            scene.event(102, "d", rows[2], None, late),
            scene.event(103, "c", None, row(777), late),
        ]
        scene.write([rows[0], twice, *rows[3:], row(777)], events)
        report = scene.verify(point)
    assert report.undone_events == 4
    assert (report.differences, report.changelog_keys) == ((), ())
    assert report.equal


@pytest.mark.parametrize("op", ["t", "r"])
def test_a_truncate_or_copy_that_the_source_does_not_see_yet_needs_a_later_point(scene, op):
    with source_point(scene.settings) as point:
        event = scene.event(100, op, None, row(1) if op == "r" else None, point.visible.xmax) | {"lsn": point.lsn + 1}
        scene.write([row(1)] if op == "r" else [], [event])
        with pytest.raises(SourcePointTooOldError):
            scene.verify(point)


def test_what_iceberg_cannot_hold_is_told(scene):
    rows = [row(n) for n in range(ROWS)]
    scene.write(rows, copied(scene, rows))
    scene.run(f"update {scene.name} set at = 'infinity' where id = 7")
    (difference,) = scene.verify().differences
    assert difference.key["id"] == 7
    assert (None, "at=infinity") in difference.columns.values()


def test_a_mirror_behind_its_topic_is_not_compared(scene):
    scene.write([row(0)], copied(scene, [row(0)]), next_offset=999)
    with pytest.raises(VerificationError, match="at offset 999 of 1000"):
        scene.verify()


def test_the_running_stack_is_equal_while_its_source_changes(settings):
    with connected(settings, "taxi") as connection:
        connection.execute("insert into vendors (vendor_id, name) values (990, 'verify') on conflict do nothing")
        connection.execute("update vendors set name = name || '!' where vendor_id = 990")
        connection.execute("delete from vendors where vendor_id = 990")
    report = verify(settings, ["vendors"])
    assert report.equal, report.as_json()
    assert (report.exit_code, [table.table for table in report.tables]) == (0, ["public.vendors"])
    assert report.tables[0].rows_compared > 0


def test_a_point_that_the_topics_do_not_reach_is_an_error(settings):
    with pytest.raises(VerificationError, match="did not reach topic"):
        verify(settings, timeout=0)


def test_key_ranges_follow_one_another(stack):
    """As numbers, though they are told as texts: a copy and a comparison read every row in one of them."""
    with source_point(stack.settings) as point:
        trips = next(table for table in point.tables if table.qualified == "public.trips")
        cuts = key_ranges(point.connection, trips, range_key(point.connection, trips), 300)
    ends = [int(cut.high) for cut in cuts[:-1]]
    assert len(ends) > 5 and ends == sorted(ends) and ends == [int(cut.low) for cut in cuts[1:]]
