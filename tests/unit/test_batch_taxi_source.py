"""Which months a run is about, and a server that misbehaves. Nothing but a local HTTP server."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from batch.job import Run
from batch.taxi.download import download
from batch.taxi.months import Month, through
from batch.taxi.source import Folder, Web, source_of, wanted_months
from catalog.errors import BatchError, ConfigurationError
from catalog.settings import SAMPLE, Settings

FILE = b"PAR1" + b"-" * 5_000 + b"PAR1"
Answer = tuple[int, dict[str, str], bytes]


def months(*names: str) -> list[Month]:
    return [Month.parse(name) for name in names]


def test_months_move_and_read_as_tlc_writes_them():
    assert [str(month) for month in through(Month(2018, 11), Month(2019, 2))] == [
        "2018-11",
        "2018-12",
        "2019-01",
        "2019-02",
    ]
    assert Month(2019, 1).moved(-13) == Month(2017, 12) and str(Month.of(datetime(2019, 3, 31))) == "2019-03"
    with pytest.raises(ConfigurationError, match="'2019-13' is no month"):
        Month.parse("2019-13")


def test_the_sample_holds_a_year_and_a_folder_what_is_named_as_tlc_names_it(tmp_path):
    sample = source_of(Settings(_env_file=None))
    assert wanted_months(Run("r"), sample, []) == list(through(Month(2019, 1), Month(2019, 12)))
    for name in (
        "yellow_tripdata_2030-02.parquet",
        "green_tripdata_2030-02.parquet",
        "yellow_tripdata_2030-13.parquet",
    ):
        (tmp_path / name).touch()
    assert wanted_months(Run("r"), Folder(tmp_path), []) == months("2030-02")


def test_a_website_is_asked_for_half_a_year_and_for_what_was_missed():
    end = datetime(2026, 3, 5, tzinfo=UTC)
    web = Web("http://x/{year}-{month:02d}")
    assert wanted_months(Run("r", interval_end=end), web, []) == list(through(Month(2025, 9), Month(2026, 3)))
    published = months("2024-01", "2025-05")
    assert wanted_months(Run("r", interval_end=end), web, published)[0] == Month(2025, 5)


def test_a_wish_and_a_backfill_come_before_what_the_source_has():
    folder = Folder(SAMPLE / "tlc")
    assert wanted_months(Run("r", options={"months": "2019-03, 2019-02"}), folder, []) == months("2019-02", "2019-03")
    start, end = datetime(2019, 1, 31, tzinfo=UTC), datetime(2019, 3, 1, tzinfo=UTC)
    assert wanted_months(Run("r", start, end, "backfill"), folder, []) == months("2019-01", "2019-02")
    with pytest.raises(BatchError, match="without an interval"):
        wanted_months(Run("r", trigger="backfill"), folder, [])


@pytest.mark.parametrize(
    "source", ["http://x/trips.parquet", "http://x/{jahr}.parquet", "http://x/{year.parquet", "/no/folder"]
)
def test_a_source_that_cannot_be_one_is_refused(source):
    with pytest.raises(ConfigurationError, match="LAKE_TLC_SOURCE"):
        source_of(Settings(_env_file=None, tlc_source=source))


@pytest.fixture
def server(monkeypatch) -> Iterator[tuple[str, list[Answer], list[str | None]]]:
    """Gives the listed answers one after the other; waits between tries are left out."""
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    answers: list[Answer] = []
    tags: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, content = answers.pop(0)
            tags.append(self.headers["If-None-Match"])
            if status:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}/month", answers, tags
    listening.shutdown()
    listening.server_close()


def test_a_download_outlives_a_busy_a_broken_and_a_short_answer(server):
    url, answers, _ = server
    answers += [
        (429, {"Retry-After": "0"}, b""),
        (0, {}, b""),
        (200, {"Content-Length": str(len(FILE))}, FILE[:2_000]),
        (200, {}, FILE[:2_000]),
        (200, {"ETag": '"7"'}, FILE),
    ]
    with download(url, None) as found:
        assert found.content is not None and found.content.read() == FILE and found.etag == '"7"'
    assert not answers


def test_an_unchanged_and_an_unpublished_month_are_answers(server):
    url, answers, tags = server
    answers += [(304, {}, b""), (403, {}, b"<Error/>"), (404, {}, b"")]
    with download(url, '"7"') as found:
        assert found.content is None and not found.absent and tags == ['"7"']
    for _ in range(2):
        with download(url, None) as found:
            assert found.absent


@pytest.mark.parametrize(
    ("answer", "tries", "told"),
    [
        ((200, {}, b"<html>sign in</html>"), 1, "gave no Parquet file, it begins with b'<htm'"),
        ((401, {}, b""), 1, "could not be fetched.*401"),
        ((503, {}, b""), 5, "could not be fetched.*503"),
        ((200, {}, b""), 5, "without its end, 0 bytes"),
    ],
)
def test_what_does_not_pass_is_an_error_that_names_the_address(server, answer, tries, told):
    url, answers, tags = server
    answers += [answer] * 5
    with pytest.raises(BatchError, match=told) as failed, download(url, None):
        pass
    assert len(tags) == tries and url in str(failed.value)
