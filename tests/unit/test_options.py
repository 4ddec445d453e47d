"""Options of joining tables: columns that the lake must not have are left out and not told under another name."""

import hashlib
import json
import re
from dataclasses import replace

import pytest
from pydantic import SecretStr

from catalog.errors import ConfigurationError, SourceError, TableStoppedError
from catalog.options import PLAIN, Rule, TableOptions, note_options, read_options, sign_of
from catalog.pseudonyms import pseudonym, pseudonym_length
from catalog.published import without_withheld
from catalog.settings import Settings
from catalog.source import SourceColumn, SourceTable, named, namespaces
from connectors.configuration import connector_configuration
from lake.options import wishes
from streaming.evolution import require_followable
from streaming.values import to_arrow

COLUMNS = (
    SourceColumn("id", 1, "integer", False, True),
    SourceColumn("email", 2, "text", False, True),
    SourceColumn("place", 3, "point", False, False),
)
RULES = {"email": Rule("null", 2), "place": Rule("exclude", 3)}


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, state_dir=tmp_path)


def test_options_are_noted_by_table_and_forgotten(settings):
    assert read_options(settings) == {}
    note_options(settings, "shop.customers", TableOptions(RULES))
    note_options(settings, "shop.log", TableOptions(append_only=True))
    assert read_options(settings) == {"shop.customers": TableOptions(RULES), "shop.log": TableOptions({}, True)}
    note_options(settings, "shop.items", TableOptions(namespace="shop", partition="kind"))
    assert [named(read_options(settings), "shop", name).mirror for name in ("items", "log")] == [
        "shop.shop__items",
        "taxi_cdc.shop__log",
    ]
    assert namespaces(read_options(settings)) == ["shop", "taxi_cdc"]
    note_options(settings, "shop.items", PLAIN)
    note_options(settings, "shop.customers", PLAIN)
    assert set(read_options(settings)) == {"shop.log"}


def test_rules_of_an_earlier_version_hold_on(settings):
    rules = {"email": {"manner": "null", "attnum": 2}, "place": {"manner": "exclude", "attnum": 3}}
    (settings.state_dir / "withheld.json").write_text(json.dumps({"shop.customers": rules}))
    assert read_options(settings) == {"shop.customers": TableOptions(RULES)}
    note_options(settings, "shop.log", TableOptions(append_only=True))
    assert set(read_options(settings)) == {"shop.customers", "shop.log"}
    note_options(settings, "shop.customers", PLAIN)
    assert set(read_options(settings)) == {"shop.log"}, "forgotten ones do not come back"


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
    note_options(settings, "shop.customers", TableOptions(RULES))
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
    found = wishes(["note"], ["email=null", "a=b=null", "name=hash"]).columns
    assert found == {"note": "exclude", "email": "null", "a=b": "null", "name": "hash"}
    for namespace in ("weather", "realtime", "Shop", "a.b", "control", "bench", "public"):
        with pytest.raises(ConfigurationError, match="is none for mirrors"):
            wishes([], [], namespace=namespace)
    with pytest.raises(ConfigurationError, match="not to have the values"):
        wishes(["at"], [], partition="month(at)")
    for wrong in ("email", "email=md5", "=null"):
        with pytest.raises(ConfigurationError, match="is no mask"):
            wishes([], [wrong])


def test_pseudonyms_are_debeziums_and_cut_to_the_columns_length():
    assert pseudonym("k", "ü") == hashlib.sha256(b"k\xc3\xbc").hexdigest()
    assert [pseudonym_length("t.c", f"character varying({n})") for n in (40, 64, 300)] == [40, 64, 64]
    for refused in ("character varying(31)", "citext", "character(64)", "uuid", "text[]"):
        with pytest.raises(SourceError, match="pseudonyms"):
            pseudonym_length("t.c", refused)


def test_a_column_of_pseudonyms_knows_the_one_of_a_value_that_was_left_out(settings):
    sign = sign_of(settings)
    note_options(settings, "shop.customers", TableOptions({"email": Rule("hash", 2, sign)}))
    (_, email, _) = without_withheld("shop.customers", COLUMNS, read_options(settings)["shop.customers"].columns)
    assert email.sign == sign == pseudonym(settings.secrets.pseudonym_key, "__debezium_unavailable_value")
    values, unchanged = to_arrow([sign, "0" * 64, None], "email", email.type, email.sign)
    assert values.to_pylist() == [None, "0" * 64, None] and unchanged.tolist() == [True, False, False]


def test_the_connector_masks_them_with_the_key_that_they_joined_with(settings):
    note_options(
        settings,
        "shop.customers",
        TableOptions({"email": Rule("hash", 2, sign_of(settings)), "place": Rule("exclude", 3)}),
    )
    told = connector_configuration(settings, [("shop", "customers")])
    assert told[f"column.mask.hash.v2.SHA-256.with.salt.{settings.secrets.pseudonym_key}"] == "shop\\.customers\\.email"
    assert told["column.exclude.list"] == "shop\\.customers\\.place"
    other = Settings(_env_file=None, state_dir=settings.state_dir, pseudonym_key=SecretStr("another"))
    with pytest.raises(ConfigurationError, match="another key"):
        connector_configuration(other, [("shop", "customers")])


def test_another_way_of_making_pseudonyms_stops_the_table():
    before = SourceTable("shop", "customers", (replace(COLUMNS[1], sign="a" * 40),), ("id",), True)
    after = replace(before, columns=(replace(COLUMNS[1], sign="a" * 64),))
    with pytest.raises(TableStoppedError, match="pseudonyms of column email"):
        require_followable(before, after)
