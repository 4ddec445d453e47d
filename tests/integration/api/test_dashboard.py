"""The dashboard in a real browser: filters, time travel and exports; DuckDB says what the exports should hold."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest
from playwright.sync_api import Download, Page, expect, sync_playwright

from catalog.settings import PROJECT
from catalog.tables.reference import UNDRAWN, ZONES

PAGES = ("", "zones", "weather", "demand", "activity", "alerts", "pipeline")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--no-sandbox")
DRAWN = ZONES - len(UNDRAWN)
SHOWN = ", ".join(f"[data-testid={name}]" for name in ("stMetric", "stDataFrame", "stAlert"))
PHONE = {"width": 390, "height": 844}
SECONDS = 30_000


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def dashboard(api, tables, settings, tmp_path_factory) -> Iterator[str]:
    """The dashboard as a process, over the API of these tests: its address."""
    folder, port = tmp_path_factory.mktemp("dashboard"), free_port()
    own = {
        "LAKE_STATE_DIR": str(settings.state_dir),
        "LAKE_API_URL": api.address,
        "LAKE_API_KEY": api.key,
        "LAKE_DASHBOARD_PORT": str(port),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "serving.dashboard"], cwd=PROJECT, env={**os.environ, **own}, stderr=log
        )
    address = f"http://{settings.host}:{port}"
    try:
        deadline = time.monotonic() + 60
        while not answers(f"{address}/_stcore/health"):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def page(dashboard) -> Iterator[Page]:
    assert CHROMIUM, "scripts/setup browser installs Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        opened = browser.new_page(viewport={"width": 1440, "height": 900}, base_url=dashboard)
        opened.set_default_timeout(SECONDS)
        expect.set_options(timeout=SECONDS)
        yield opened
        browser.close()


def settled(page: Page) -> None:
    """Until the page shows figures, rows, or why there are none."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(SHOWN).first).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


def exported(page: Page, kind: str, n: int = 0) -> tuple[str, list[dict[str, Any]]]:
    """The name and rows of the n-th export of a page."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=kind, exact=True).nth(n).click()
    download: Download = waiting.value
    content = Path(download.path()).read_bytes()
    table = csv.read_csv(io.BytesIO(content)) if kind == "CSV" else parquet.read_table(io.BytesIO(content))
    return download.suggested_filename, table.to_pylist()


def test_filters_choose_what_is_drawn_and_exported(page, stack):
    page.goto("/zones")
    expect(page.locator("path[aria-roledescription=geoshape]")).to_have_count(DRAWN)
    borough = page.get_by_role("combobox", name="Borough")
    borough.click()
    page.get_by_role("option", name="Queens").click()
    expect(borough).to_have_value("Queens")
    pickups = stack.lake_rows(
        "select location_id, sum(total_pickups)::bigint from analytics.zone_performance_metrics"
        " where origin = 'cdc' and borough = 'Queens' group by 1"
    )
    stack.until(lambda: len(exported(page, "CSV")[1]) == len(pickups), "the filter is applied", 20)
    for kind, name in (("CSV", "zones.csv"), ("Parquet", "zones.parquet")):
        named, rows = exported(page, kind)
        assert named == name and {row["borough"] for row in rows} == {"Queens"}
        assert {row["location_id"]: row["total_pickups"] for row in rows} == dict(pickups)


def test_the_slider_shows_the_lake_as_it_was(page):
    page.goto("/")
    expect(page.get_by_test_id("stMetric").filter(has_text="Trips")).to_be_visible()
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("Home")
    expect(page.get_by_text("You see the lake as of")).to_be_visible()
    expect(page.get_by_text(re.compile("no data yet|does not hold that moment")).first).to_be_visible()
    expect(page.get_by_test_id("stMetric")).to_have_count(0)
    slider.press("End")
    expect(page.get_by_test_id("stMetric").filter(has_text="Trips")).to_be_visible()
    name, trips = exported(page, "CSV", 1)
    assert name == "trips.csv" and len(trips) == 100


def test_every_page_fits_a_phone_and_none_fails(page):
    page.set_viewport_size(PHONE)
    for name in PAGES:
        page.goto(f"/{name}")
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_text("does not answer")).to_have_count(0)
