"""Every engine reads every kind of table alike: vectors, merged files, a changed schema, nested, partitioned, empty."""

from collections.abc import Callable
from datetime import UTC

import polars
import pyarrow as pa
import pytest

from catalog.readers import iceberg_catalog
from catalog.session import spark_session

ACTIVITY = """
SELECT zone_id, activity_timestamp, activity_score, revenue_last_hour, pickup_count FROM iceberg.realtime.zone_activity
WHERE activity_timestamp >= current_timestamp() - interval 1 hour ORDER BY activity_score DESC
"""
Reader = Callable[..., list[tuple]]


@pytest.fixture(scope="module")
def many_files(stack, joined) -> tuple[str, str]:
    """A table of three files, too few to be merged: each round changes rows of the first and of the round before."""
    table, mirror = joined["read_by_all"], joined.mirror("read_by_all")
    stack.execute(
        f"insert into {table} select n, n * 0.25, 'zone ' || n % 7, now(), array['a', null, 'n' || n]"
        " from generate_series(1, 400) n"
    )
    stack.verified(table)
    for round_ in range(2):
        stack.execute(
            f"update {table} set fare = fare + 1 where id % 50 between {round_ - 1} and {round_}",
            f"delete from {table} where id % 60 = {round_}",
            f"insert into {table} values ({1000 + round_}, 0, null, null, '{{}}')",
        )
        stack.verified(table)
    return table, mirror


def by_duckdb(stack, mirror: str, columns: str) -> list[tuple]:
    return stack.lake_rows(f"select {columns} from taxi_cdc.{mirror} order by id")


def by_pyiceberg(stack, mirror: str, columns: str) -> list[tuple]:
    rows = stack.iceberg(mirror).scan(selected_fields=tuple(columns.split(", "))).to_arrow()
    return sorted(tuple(row.values()) for row in rows.select(columns.split(", ")).to_pylist())


def scanned(table, snapshot: int | None = None) -> polars.LazyFrame:
    """Polars' own reader where it can (pyiceberg's behind vectors), which is told of the store apart."""
    store = {name: value for name, value in table.io.properties.items() if name.startswith("s3.")}
    return polars.scan_iceberg(table, snapshot_id=snapshot, storage_options={**store, "aws_allow_http": "true"})


def by_polars(stack, mirror: str, columns: str) -> list[tuple]:
    return scanned(stack.iceberg(mirror)).select(columns.split(", ")).sort("id").collect().rows()


@pytest.fixture(scope="module")
def spark(stack):
    session = spark_session(stack.settings, "test readers", driver_memory="1g")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def by_spark(spark):
    def read(stack, mirror: str, columns: str) -> list[tuple]:
        return [tuple(row) for row in spark.sql(f"select {columns} from taxi_cdc.{mirror} order by id").collect()]

    return read


def by_postgres(stack, table: str, columns: str) -> list[tuple]:
    return stack.source(f"select {columns} from {table} order by id")


def vectors(stack, mirror: str) -> list[tuple[str, str]]:
    """Puffin file and data file of every live vector, from the manifests."""
    tasks = stack.iceberg(mirror).inspect.delete_files().to_pylist()
    return [(task["file_path"], task["file_format"]) for task in tasks]


def agree(stack, by_spark, table: str, mirror: str, columns: str, *readers: Reader) -> None:
    expected = by_postgres(stack, table, columns)
    for read in (by_duckdb, by_pyiceberg, by_spark, *readers):
        assert read(stack, mirror, columns) == expected


def test_files_with_vectors_read_alike_and_each_vector_has_a_file_of_its_own(stack, many_files, by_spark):
    table, mirror = many_files
    found = vectors(stack, mirror)
    assert len(found) >= 2
    assert len({path for path, _ in found}) == len(found), "one Puffin file per vector"
    assert {kind.lower() for _, kind in found} == {"puffin"}
    assert stack.table(table)["files"] >= 3
    agree(stack, by_spark, table, mirror, "id, fare, zone, tags", by_polars)


def test_merged_files_read_alike(stack, many_files, by_spark):
    """Small files are merged beside the epochs once there are enough of them."""
    table, mirror = many_files
    for round_ in range(stack.settings.small_files):
        stack.execute(f"update {table} set zone = 'merged' where id = {100 + round_}")
        offset = stack.table(table)["position"]["0"]
        stack.until(lambda at=offset: stack.table(table)["position"]["0"] > at, "an epoch of its own")

    def merged() -> bool:
        return "replace" in {snapshot.summary.operation.value for snapshot in stack.iceberg(mirror).snapshots()}

    stack.until(merged, "small files merged")
    stack.verified(table)
    agree(stack, by_spark, table, mirror, "id, fare, zone", by_polars)


def test_a_changelog_reads_alike(stack, many_files, spark):
    """Partitioned by the hour, with structs that are null at times."""
    name = f"{many_files[1]}_cdc"
    query = f"""select topic_offset, op, key.id as k, before.zone as gone, after.tags as tags from taxi_cdc.{name}
    where topic_offset is not null"""

    def plucked(rows: list[dict]) -> list[tuple]:
        rows = [{**row, "before": row["before"] or {}, "after": row["after"] or {}} for row in rows if row["key"]]
        told = [
            (r["topic_offset"], r["op"], r["key"]["id"], r["before"].get("zone"), r["after"].get("tags")) for r in rows
        ]
        return sorted(event for event in told if event[0] is not None)

    expected, table = sorted(stack.lake_rows(query)), stack.iceberg(name)
    assert len(expected) > 400
    assert sorted(tuple(row) for row in spark.sql(query).collect()) == expected
    assert plucked(table.scan().to_arrow().to_pylist()) == expected
    assert plucked(scanned(table).collect().to_dicts()) == expected


def test_a_changed_schema_reads_alike(stack, many_files, by_spark):
    table, mirror = many_files
    stack.execute(
        f"alter table {table} add column tip numeric(6, 2)",
        f"alter table {table} alter column fare type numeric(12, 2)",
    )
    stack.execute(f"update {table} set tip = 0.5, fare = 1234567890.12 where id in (7, 8)")
    stack.verified(table)
    agree(stack, by_spark, table, mirror, "id, fare, zone, tip")
    changed = stack.iceberg(mirror)
    epochs = [each.snapshot_id for each in changed.snapshots() if each.summary.operation.value == "overwrite"]
    with pytest.raises(polars.exceptions.SchemaError, match="mismatch for column fare"):
        scanned(changed, epochs[-1]).select("id", "fare").collect()  # before its old files are merged with new ones
    stack.execute(
        f"alter table {table} alter column tip type numeric(9, 2)", f"update {table} set tip = 1e6 where id = 7"
    )
    stack.verified(table)
    current = by_spark(stack, f"{mirror}_history where is_current", "id, fare, zone, tip")
    assert current == by_postgres(stack, table, "id, fare, zone, tip"), "the view of its history follows too"


def test_a_partitioned_table_of_format_2_reads_alike(stack, spark):
    """What pyiceberg writes for the batch half."""
    catalog = iceberg_catalog(stack.settings)
    catalog.create_namespace_if_not_exists("readers")
    rows = pa.table(
        {"id": pa.array(range(40)), "part": [f"p{n % 3}" for n in range(40)], "seen": pa.array([None, 1] * 20)}
    )
    table = catalog.create_table("readers.second", rows.schema, properties={"format-version": "2"})
    try:
        with table.update_spec() as update:
            update.add_identity("part")
        table.append(rows)
        table.delete("part = 'p1'")
        expected = [tuple(row.values()) for row in rows.to_pylist() if row["part"] != "p1"]
        assert stack.lake_rows("select id, part, seen from iceberg.readers.second order by id") == expected
        assert scanned(table).sort("id").collect().rows() == expected
        by_spark = spark.sql("select id, part, seen from readers.second order by id").collect()
        assert [tuple(row) for row in by_spark] == expected
    finally:
        catalog.purge_table("readers.second")


def test_a_mirror_that_something_else_wrote_to_is_set_back_and_goes_on(stack, many_files, spark):
    table, mirror = many_files
    good = stack.iceberg(mirror).metadata.current_snapshot_id
    spark.sql(f"delete from taxi_cdc.{mirror} where id % 2 = 0")
    stack.execute(f"update {table} set zone = 'later' where id = 7")
    stack.until(lambda: stack.table(table).get("state") == "stopped", "the stream stops the table")
    assert f"lake rollback taxi_cdc.{mirror}" in stack.table(table)["remedy"]
    done = stack.lake("rollback", mirror, str(good))
    assert done.returncode == 0, done.stdout + done.stderr
    stack.verified(table)
    assert by_duckdb(stack, mirror, "id, zone") == by_postgres(stack, table, "id, zone")


def test_an_empty_mirror_reads_alike(stack, many_files, by_spark):
    table, mirror = many_files
    stack.execute(f"truncate {table}")
    stack.verified(table)
    assert by_postgres(stack, table, "id, tags") == []
    agree(stack, by_spark, table, mirror, "id, tags", by_polars)


def test_the_activity_of_the_last_hour_reads_alike(stack, spark):
    stack.traffic(60, seed=730)
    stack.real_time_verified()
    table = "iceberg.realtime.zone_activity"

    def alike() -> bool:
        """The clock moves on between the three."""
        asked = spark.sql(ACTIVITY).collect()
        by_spark = [(row[0], row[1].astimezone(UTC), *row[2:]) for row in asked]
        first, scores = min(row[1] for row in by_spark), [row[2] for row in by_spark]
        assert scores == sorted(scores, reverse=True)
        by_duckdb = stack.lake_rows(f"select * from {table} where activity_timestamp >= '{first}'")
        rows = iceberg_catalog(stack.settings).load_table("realtime.zone_activity").scan().to_arrow().to_pylist()
        by_pyiceberg = [tuple(row.values()) for row in rows if row["activity_timestamp"] >= first]
        return sorted(by_spark) == sorted(by_duckdb) == sorted(by_pyiceberg)

    stack.until(alike, "the engines agree")
