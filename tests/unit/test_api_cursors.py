"""Cursors come back as they were written, only with their signature; paging over any order skips and repeats no row."""

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.api.cursors import Cursor, Cursors
from serving.api.lake import page_query
from serving.api.problems import ProblemError
from serving.api.questions import Order

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
    st.decimals(allow_nan=False, allow_infinity=False),
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(), VALUES), st.dictionaries(st.text(), st.integers(0, 2**63 - 1)), st.lists(VALUES))
def test_a_cursor_comes_back_as_it_was_written(parameters, snapshots, after):
    cursors = Cursors("secret")
    found = cursors.read(cursors.write(Cursor("question", parameters, snapshots, after)))
    assert (found.question, found.parameters, found.snapshots) == ("question", parameters, snapshots)
    assert list(found.after) == after
    assert [type(value) for value in found.after] == [type(value) for value in after]


@settings(max_examples=100)
@given(st.text())
def test_text_that_is_no_cursor_is_refused(text):
    with pytest.raises(ProblemError) as refused:
        Cursors("secret").read(text)
    assert refused.value.name == "malformed-cursor"


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_cursor_with_another_character_is_refused_or_the_same(place, character):
    cursors = Cursors("secret")
    text = cursors.write(Cursor("trips", {"limit": 3}, {"taxi_cdc.trips": 7}, [date(2026, 1, 31)]))
    place %= len(text)
    forged = text[:place] + character + text[place + 1 :]
    try:
        found = cursors.read(forged)
    except ProblemError:
        return
    assert found == cursors.read(text), "base64 has spare bits at its end; nothing else may be changed"


def test_a_cursor_of_another_secret_is_refused():
    text = Cursors("one").write(Cursor("trips", {}, {}, [1]))
    with pytest.raises(ProblemError):
        Cursors("other").read(text)


SCHEMA = pa.schema(
    {"number": pa.int32(), "money": pa.decimal128(9, 2), "moment": pa.timestamp("us", "UTC"), "key": pa.int64()}
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.none(), st.sampled_from([Decimal("1.50"), Decimal("2.25")])),
        st.one_of(st.none(), st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)])),
    ),
    max_size=25,
)


@settings(max_examples=25)
@given(ROWS, st.lists(st.booleans(), min_size=3, max_size=3), st.integers(1, 7))
def test_pages_together_are_all_rows_in_order(rows, descending, limit):
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        given_rows = pa.Table.from_pylist(  # noqa: F841 - DuckDB finds it by its name
            [{"number": a, "money": b, "moment": c, "key": n} for n, (a, b, c) in enumerate(rows)], SCHEMA
        )
        names = zip(("number", "money", "moment"), descending, strict=True)
        order = [*(Order(name, descending=down) for name, down in names), Order("key")]
        found, after = [], None
        for _ in range(len(rows) + 1):
            sql, values = page_query("select * from given_rows", order, limit, after)
            page = connection.execute(sql, values).to_arrow_table().to_pylist()
            found += page[:limit]
            if len(page) <= limit:
                break
            after = [page[limit - 1][f"_order_{n}"] for n in range(len(order))]
        expected = list(range(len(rows)))
        for place in (2, 1, 0):
            known = [key for key in expected if rows[key][place] is not None]
            known.sort(key=lambda key, place=place: rows[key][place], reverse=descending[place])
            expected = [*known, *(key for key in expected if rows[key][place] is None)]
    assert [row["key"] for row in found] == expected
