"""A fare far from what its zone and distance cost is told of once: when it comes, not when its file is merged."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
from streaming_model.store import Files

from catalog.positions import Position
from catalog.tables.realtime import FARE, FARE_STANDS, WATCHED
from streaming.alerts import Alert
from streaming.differences import Part, View
from streaming.fares import FareWatch
from streaming.files import FileCache, MirrorFile
from streaming.iceberg import LiveFile
from streaming.windows import Measures

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SHORT, FAR = Decimal("1.2"), Decimal("17")


def trips(*described):
    """A file of trips from (trip_id, zone, miles, dollars)."""
    amounts = pa.decimal128(10, 2)
    return pa.table(
        {
            "trip_id": pa.array([row[0] for row in described], pa.int64()),
            "pickup_at": pa.array([NOW] * len(described), pa.timestamp("us", "UTC")),
            "pickup_location_id": pa.array([row[1] for row in described], pa.int32()),
            "trip_distance": pa.array([row[2] for row in described], pa.decimal128(8, 2)),
            "fare_amount": pa.array([row[3] for row in described], amounts),
            "total_amount": pa.array([row[3] for row in described], amounts),
        }
    )


def usual(zone, start):
    """Forty short trips of 6 to 8 dollars, and forty flat fares of 52."""
    short = [(start + n, zone, SHORT, Decimal(6 + n % 3)) for n in range(40)]
    return [*short, *((start + 40 + n, zone, FAR, Decimal(52)) for n in range(40))]


class Watched:
    def __init__(self):
        self.store = Files()
        self.fares = FareWatch(Measures(WATCHED, self.store, FileCache(1 << 20)), self.store)
        file = self.file(*usual(161, 0))
        live = LiveFile(file, 1, 80, None, None, None, None)
        self.fares.learn(View(1, Position("topic"), {file: MirrorFile(live, None, None)}))

    def file(self, *described):
        return self.store.write_parquet("s3://lake/trips", trips(*described)).path

    def look(self, *parts, held=(), now=NOW):
        looked = self.fares.look(parts, ("trip_id",), {alert.key: alert for alert in held}, now)
        return {found.subject: found.value for found in looked.found}, {subject for _, subject in looked.over}


def raised(subject, value):
    return Alert(FARE.name, subject, value, 0.0, NOW)


def test_a_fare_far_off_in_its_class_is_found_and_usual_ones_are_not():
    watched = Watched()
    came = watched.file(
        (1, 161, SHORT, Decimal("8.50")), (2, 161, SHORT, Decimal(52)), (3, 161, FAR, Decimal(52)),
        (4, 161, FAR, Decimal("41.5")), (5, 161, FAR, Decimal(400)), (6, 161, SHORT, Decimal(-30)),
    )  # fmt: skip
    assert watched.look(Part(came, None, 1)) == ({"trip_id 2": 52.0, "trip_id 5": 400.0, "trip_id 6": -30.0}, set())


def test_a_zone_of_which_little_is_known_is_compared_with_all():
    watched = Watched()
    came = watched.file((1, 7, SHORT, Decimal(52)), (2, 7, FAR, Decimal(52)), (3, 7, Decimal(60), Decimal(900)))
    assert watched.look(Part(came, None, 1)) == ({"trip_id 1": 52.0}, set()), "no class holds 60 miles"


def test_unknown_fares_distances_and_zones_are_no_findings():
    watched = Watched()
    came = watched.file((1, 161, None, Decimal(500)), (2, None, SHORT, None), (3, None, SHORT, Decimal(7)))
    assert watched.look(Part(came, None, 1)) == ({}, set())


def test_a_merged_file_is_no_news():
    watched = Watched()
    row = (2, 161, SHORT, Decimal(52))
    before, merged = watched.file(row), watched.file(row, (9, 161, SHORT, Decimal(7)))
    parts = (Part(merged, None, 1), Part(before, None, -1))
    assert watched.look(*parts) == ({}, set())
    assert watched.look(*parts, held=[raised("trip_id 2", 52.0)]) == ({}, set())


def test_a_corrected_or_cancelled_trip_is_over_and_another_bad_fare_is_not():
    watched = Watched()
    before = watched.file(*((n, 161, SHORT, Decimal(52)) for n in (1, 2, 3)))
    after = watched.file((1, 161, SHORT, Decimal(7)), (2, 161, SHORT, Decimal(90)))
    held = [raised(f"trip_id {n}", 52.0) for n in (1, 2, 3)]
    found, over = watched.look(Part(after, None, 1), Part(before, None, -1), held=held)
    assert over == {"trip_id 1", "trip_id 3"}
    assert found == {"trip_id 2": 90.0}, "the open alert stands for it"


def test_an_alert_is_over_also_if_its_fare_is_not_unusual_any_more():
    watched = Watched()
    before = watched.file((1, 161, SHORT, Decimal("9.75")))
    assert watched.look(Part(before, None, -1), held=[raised("trip_id 1", 9.75)]) == ({}, {"trip_id 1"})


def test_a_usual_fare_that_equals_another_trip_s_alert_is_no_finding():
    watched = Watched()
    came = watched.file((1, 161, FAR, Decimal(52)))
    assert watched.look(Part(came, None, 1), held=[raised("trip_id 9", 52.0)]) == ({}, set())
    assert watched.look(Part(came, None, -1), held=[raised("trip_id 9", 52.0)]) == ({}, set())


def test_what_nobody_corrects_is_over_after_a_while():
    assert Watched().look(held=[raised("trip_id 1", 52.0)], now=NOW + FARE_STANDS) == ({}, set())
    later = NOW + FARE_STANDS + FARE_STANDS
    assert Watched().look(held=[raised("trip_id 1", 52.0)], now=later) == ({}, {"trip_id 1"})


def test_a_mirror_that_was_emptied_tells_of_no_fare():
    watched = Watched()
    watched.fares = FareWatch(Measures(WATCHED, watched.store, FileCache(1 << 20)), watched.store)
    watched.fares.learn(View(2, Position("topic"), {}))
    assert watched.look(Part(watched.file((900, 161, SHORT, Decimal(70))), None, 1)) == ({}, set())
