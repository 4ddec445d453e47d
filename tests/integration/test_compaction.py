"""Files rewritten while rows of them are deleted: every engine reads the same rows before and after."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.trips import KEY, Keys, Shape, batches, source
from bench.writers import WriterName, drop, load
from catalog.positions import PartitionPosition, Position
from catalog.readers import iceberg_catalog
from catalog.session import spark_session
from streaming.compaction import mirror_job
from streaming.files import KeyCache
from streaming.iceberg import Lake
from streaming.mirror import Mirror

TABLE = WriterName.LOOKUP.table
COLUMNS = f"{KEY}, fare_amount, pickup_location_id"


@pytest.fixture(scope="module")
def lake(stack):
    session = spark_session(stack.settings, "test compaction", driver_memory="1g")
    found = Lake(session, stack.settings)
    drop(found)
    yield found
    drop(found)
    session.stop()


@pytest.fixture
def mirror(lake):
    load(lake, [WriterName.LOOKUP], 5_000)
    with ThreadPoolExecutor(2) as pool:
        found = Mirror(lake.table(TABLE), source(Keys.INTEGER), KeyCache(1 << 20), pool)
        found.load()
        yield found


def by_each_engine(stack, lake) -> dict[str, list[tuple]]:
    order = f"order by {KEY}"
    table = (
        iceberg_catalog(stack.settings).load_table(TABLE).scan(selected_fields=tuple(COLUMNS.split(", "))).to_arrow()
    )
    lake.spark.catalog.refreshTable(f"iceberg.{TABLE}")
    return {
        "DuckDB": stack.lake_rows(f"select {COLUMNS} from {TABLE} {order}"),
        "Spark": [tuple(row) for row in lake.spark.sql(f"select {COLUMNS} from iceberg.{TABLE} {order}").collect()],
        "pyiceberg": sorted(tuple(row.values()) for row in table.select(COLUMNS.split(", ")).to_pylist()),
    }


def test_what_is_deleted_during_a_rewrite_stays_deleted(stack, lake, mirror):
    def change() -> None:
        batch = next(changes)
        mirror.apply(batch.events, Position("bench", {0: PartitionPosition(batch.next_offset)}))

    changes = batches(5_000, 400, Shape.UNIFORM)
    for _ in range(3):
        change()
    rewritten = mirror_job(mirror, 2)()
    change()
    before, files = by_each_engine(stack, lake), len(mirror.files)
    assert rewritten.put_in_place() >= 3
    after = by_each_engine(stack, lake)
    assert len(mirror.files) < files
    assert any(file.vector for file in lake.table(TABLE).live_files(KEY)), "deleted meanwhile, carried over"
    assert len(before["DuckDB"]) > 5_000
    assert all(rows == before["DuckDB"] for rows in (*before.values(), *after.values()))
    change()
    assert len({tuple(rows) for rows in by_each_engine(stack, lake).values()}) == 1
    assert lake.table(TABLE).position() == mirror.position
