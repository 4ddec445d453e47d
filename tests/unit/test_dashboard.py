"""The dashboard without a lake: it says what is wrong, and draws what it is given."""

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from catalog.settings import Settings
from serving.dashboard import charts, shown
from serving.dashboard.__main__ import APP, options


def test_without_an_api_the_page_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LAKE_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LAKE_API_KEY", "lake_test_none")
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    assert page.error and all("The API does not answer" in each.value for each in page.error)
    assert any("lake up --with serving" in each.value for each in page.markdown)


def test_it_listens_on_loopback_and_tells_nobody(tmp_path):
    given = options(Settings(_env_file=None, state_dir=tmp_path, port_offset=20000))
    assert (given["server.address"], given["server.port"]) == ("127.0.0.1", "28501")
    assert given["browser.gatherUsageStats"] == "false" and given["client.showErrorDetails"] == "none"


def test_a_zone_without_a_value_is_drawn_as_such_and_nothing_is_fetched():
    square = {"type": "MultiPolygon", "coordinates": [[[[0, 0], [0, 1], [1, 1], [0, 0]]]]}
    features = [
        {"type": "Feature", "geometry": square, "zone": name, "borough": "Queens", "value": value}
        for name, value in (("A", 2.0), ("B", None))
    ]
    drawn = charts.zone_map(features, "trips").to_dict()
    assert drawn["data"] == {"values": features}
    assert drawn["encoding"]["color"]["scale"]["scheme"] == "cividis"
    assert drawn["mark"]["invalid"] == "show"
    assert drawn["config"]["scale"]["invalid"]["color"]["value"] == charts.NOTHING


def test_lists_and_decimals_are_exported_as_they_are():
    rows = pa.table(
        {
            "cells": pa.array([[{"key": 1}], None, []], pa.list_(pa.struct([("key", pa.int64())]))),
            "fare": pa.array(["1.50", None, "2.00"], pa.string()).cast(pa.decimal128(10, 2)),
        }
    )
    assert shown._csv(rows).decode().splitlines() == ['"cells","fare"', '"[{""key"": 1}]","1.50"', ",", '"[]","2.00"']
