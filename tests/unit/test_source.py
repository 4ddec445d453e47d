"""A source table's names, its rows' shape, and its persisted form."""

import pyarrow as pa
import pytest

from catalog.errors import SourceError
from catalog.published import require_names, take_names
from catalog.source import SourceColumn, SourceTable
from catalog.tables.cdc import changelog_schema, create_table, mirror_schema, spark_type

COLUMNS = (
    SourceColumn("id", 1, "bigint", False, True),
    SourceColumn("mood", 3, "mood", True, False),
    SourceColumn("amount", 4, "numeric(10,2)", False, True),
)
TRIPS = SourceTable("public", "trips", COLUMNS, ("id",), True)
OTHER = SourceTable("other", "trips", COLUMNS, ("mood", "id"), False)


def test_names():
    assert (TRIPS.mirror, TRIPS.changelog) == ("taxi_cdc.trips", "taxi_cdc.trips_cdc")
    assert (OTHER.mirror, OTHER.changelog) == ("taxi_cdc.other__trips", "taxi_cdc.other__trips_cdc")
    assert (TRIPS.topic("lakehouse"), OTHER.topic("lakehouse")) == ("lakehouse.trips", "lakehouse.other.trips")
    assert (TRIPS.qualified, OTHER.qualified) == ("public.trips", "other.trips")


@pytest.mark.parametrize("table", [TRIPS, OTHER], ids=["public", "other"])
def test_persisted_and_read_it_is_the_same(table):
    read = SourceTable.from_json(table.to_json())
    assert read == table
    assert read.columns[1].type.arrow == pa.string()


def test_only_keys_are_required():
    assert [field.nullable for field in mirror_schema(OTHER)] == [False, False, True]
    assert mirror_schema(TRIPS).types == [pa.int64(), pa.string(), pa.decimal128(10, 2)]


def test_the_changelog_holds_key_and_both_images():
    schema = changelog_schema(OTHER)
    assert schema.names[-4:] == ["key", "before", "after", "unchanged"]
    assert [field.name for field in schema.field("key").type] == ["mood", "id"]
    assert all(field.nullable for field in schema.field("before").type)
    assert not schema.field("committed_at").nullable


def test_the_statement_that_creates_a_table():
    statement = create_table("iceberg.a.b", mirror_schema(TRIPS), partition="days(at)", properties={"owner": "it's"})
    assert statement == (
        "CREATE TABLE IF NOT EXISTS iceberg.a.b (\n  `id` bigint NOT NULL,\n  `mood` string,\n"
        "  `amount` decimal(10,2)\n) USING iceberg\nPARTITIONED BY (days(at))\nTBLPROPERTIES ('owner' = 'it\\'s')"
    )


@pytest.mark.parametrize(
    ("arrow", "spark"),
    [
        (pa.timestamp("us"), "timestamp_ntz"),
        (pa.timestamp("us", "UTC"), "timestamp"),
        (pa.list_(pa.decimal128(4, 1)), "array<decimal(4,1)>"),
        (pa.struct([("a", pa.binary()), ("b", pa.date32())]), "struct<`a`:binary,`b`:date>"),
        (pa.float32(), "float"),
        (pa.bool_(), "boolean"),
    ],
    ids=str,
)
def test_spark_s_name_of_a_type(arrow, spark):
    assert spark_type(arrow) == spark


def described(*names):
    return tuple(SourceColumn(name, place, "text", False, False) for place, name in enumerate(names, 1))


@pytest.mark.parametrize(
    ("name", "columns", "reason"),
    [
        ("größe", described("id"), "letters of ASCII"),
        ("a table", described("id"), "letters of ASCII"),
        ("things", described("id", "Id"), "id and Id of public.things differ by case alone"),
        ("things", described("a.b"), "has a dot or a backtick"),
    ],
)
def test_names_that_the_lake_cannot_have_are_refused(name, columns, reason):
    with pytest.raises(SourceError, match=reason) as refused:
        require_names("public", name, columns)
    assert refused.value.remedy


def test_names_that_it_can_have():
    require_names("Other", "MixedCase_2", described("Id", "with space", 'a "quoted"', "é"))


@pytest.mark.parametrize("name", ["trips_cdc", "TRIPS", "quarantine"])
def test_two_tables_of_one_name_in_the_lake_are_refused(name):
    taken = {"taxi_cdc.quarantine": "the lake's quarantine"}
    take_names(TRIPS, taken)
    with pytest.raises(SourceError, match="in the lake, which is that of"):
        take_names(SourceTable("public", name, COLUMNS, ("id",), True), taken)
    take_names(SourceTable("other", name, COLUMNS, ("id",), True), taken)


def test_what_was_persisted_before_is_read():
    old = TRIPS.to_json().replace(',"oid":0,"file":0', "").replace(',"default":""', "")
    assert SourceTable.from_json(old) == TRIPS
