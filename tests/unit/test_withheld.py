"""Columns that the lake must not have: noted, left out of schemas and events, and not told under another name."""

import re

import pytest

from catalog.errors import ConfigurationError, SourceError
from catalog.settings import Settings
from catalog.source import SourceColumn, without_withheld
from catalog.withheld import Rule, read_withheld, withhold
from connectors.configuration import connector_configuration
from lake.withholding import wishes

COLUMNS = (
    SourceColumn("id", 1, "integer", False, True),
    SourceColumn("email", 2, "text", False, True),
    SourceColumn("place", 3, "point", False, False),
)
RULES = {"email": Rule("null", 2), "place": Rule("exclude", 3)}


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, state_dir=tmp_path)


def test_rules_are_noted_by_table_and_forgotten(settings):
    assert read_withheld(settings) == {}
    withhold(settings, "shop.customers", RULES)
    withhold(settings, "shop.items", {"note": Rule("exclude", 4)})
    assert read_withheld(settings)["shop.customers"] == RULES
    withhold(settings, "shop.customers", {})
    assert set(read_withheld(settings)) == {"shop.items"}


def test_the_schema_has_masked_columns_and_no_excluded_ones():
    kept = without_withheld("shop.customers", COLUMNS, RULES)
    assert [(column.name, column.masked) for column in kept] == [("id", False), ("email", True)]
    assert without_withheld("shop.customers", COLUMNS, {}) == COLUMNS


def test_a_renamed_column_is_refused_and_one_made_anew_is_withheld_like_the_old():
    renamed = (*COLUMNS[:2], SourceColumn("spot", 3, "point", False, False))
    with pytest.raises(SourceError, match=r"customers\.place, which the lake must not have, was renamed to spot"):
        without_withheld("shop.customers", renamed, RULES)
    again = (*COLUMNS[:2], SourceColumn("place", 9, "point", False, False))
    assert len(without_withheld("shop.customers", again, RULES)) == 2
    assert len(without_withheld("shop.customers", COLUMNS[:2], RULES)) == 2, "dropped, there is nothing to withhold"


def test_the_connector_leaves_both_kinds_out(settings):
    withhold(settings, "shop.customers", RULES)
    told = connector_configuration(settings, [("shop", "customers"), ("shop", "items")])["column.exclude.list"].split(
        ","
    )
    assert [bool(re.fullmatch(told[0], name)) for name in ("shop.customers.email", "shop.customersxemail")] == [
        True,
        False,
    ]
    assert re.fullmatch(told[1], "shop.customers.place") and len(told) == 2
    assert "column.exclude.list" not in connector_configuration(settings, [("shop", "items")])


def test_options_are_wishes_by_column():
    assert wishes(["note"], ["email=null", "a=b=null"]) == {"note": "exclude", "email": "null", "a=b": "null"}
    for wrong in ("email", "email=hash", "=null"):
        with pytest.raises(ConfigurationError, match="is no mask"):
            wishes([], [wrong])
