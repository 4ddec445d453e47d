"""The client against a server that misbehaves: what is tried again, what is not, and what each answer becomes."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas
import polars
import pyarrow as pa
import pytest

from catalog.errors import ConfigurationError, LakehouseError
from serving import client as lakehouse
from serving.api.formats import Format, encode
from serving.client.transport import Patience, pause

TRIPS = pa.table(
    {
        "trip_id": pa.array([7, 8]),
        "pickup_at": pa.array(
            [datetime(2026, 1, 31, hour, tzinfo=UTC) for hour in (12, 11)], pa.timestamp("us", "UTC")
        ),
        "fare_amount": pa.array([Decimal("12.50"), Decimal("3.00")], pa.decimal128(10, 2)),
    }
)
QUICK = Patience(request_seconds=1.0, attempts=3, seconds=60)
Reply = tuple[int, dict[str, str], bytes]


def rows(table: pa.Table = TRIPS, next_cursor: str | None = None) -> Reply:
    meta = {"rows": len(table), "snapshots": [], "freshness_seconds": 1.5, "derived": False, "reason": None}
    headers = {"Content-Type": Format.ARROW.value, "Lakehouse-Meta": json.dumps({**meta, "next_cursor": next_cursor})}
    return 200, headers, encode(table, Format.ARROW)


def problem(status: int, name: str, **headers: str) -> Reply:
    document = {"type": f"urn:lakehouse:problem:{name}", "title": "", "status": status, "detail": "it is so"}
    return status, {"X-Request-Id": "r-1", **headers}, json.dumps(document).encode()


class Server:
    """Gives the replies in their order, the last one for ever; None cuts the connection, a float is a late reply."""

    def __init__(self) -> None:
        self.replies: list[Reply | float | None] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.paths.append(self.path)
                server.headers.append(dict(self.headers))
                reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                if isinstance(reply, float):
                    server.late.wait(reply)
                    reply = None
                if reply is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.late = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.handle_error = lambda *_: None
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self.late.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(params=["blocking", "awaited"])
def trips(request, server) -> Callable[[], pandas.DataFrame]:
    """Asks for two trips by one of the two clients."""

    def blocking() -> pandas.DataFrame:
        with lakehouse.LakehouseClient(server.url, "key", patience=QUICK) as client:
            return client.get_recent_trips(2)

    async def awaited() -> pandas.DataFrame:
        async with lakehouse.AsyncLakehouseClient(server.url, "key", patience=QUICK) as client:
            return await client.get_recent_trips(2)

    return blocking if request.param == "blocking" else lambda: asyncio.run(awaited())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("serving.client.transport.FIRST_WAIT", 0.001)


@pytest.mark.parametrize(
    "bad",
    [
        problem(429, "too-many-requests", **{"Retry-After": "0"}),
        problem(429, "too-many-requests", **{"Retry-After": "soon"}),
        problem(503, "lake-unavailable"),
        (502, {}, b"<html>bad gateway</html>"),
        (500, {}, b""),
        None,
        3.0,
    ],
)
def test_what_may_pass_is_tried_again(server, trips, bad):
    server.replies = [bad, rows()]
    assert list(trips()["trip_id"]) == [7, 8]
    assert len(server.paths) == 2
    assert server.headers[1]["Authorization"] == "Bearer key"


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "malformed-cursor", lakehouse.RequestError),
        (401, "unauthorized", lakehouse.AuthenticationError),
        (403, "forbidden", lakehouse.ForbiddenError),
        (404, "unknown-table", lakehouse.NotFoundError),
        (410, "snapshot-gone", lakehouse.SnapshotGoneError),
        (422, "invalid-request", lakehouse.RequestError),
    ],
)
def test_a_wrong_request_is_told_at_once(server, trips, status, name, kind):
    server.replies = [problem(status, name)]
    with pytest.raises(kind, match=f"{status} {name}: it is so .request r-1.") as told:
        trips()
    assert (told.value.kind, told.value.request_id, len(server.paths)) == (name, "r-1", 1)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (problem(429, "too-many-requests"), lakehouse.RateLimitedError),
        (problem(503, "query-limit"), lakehouse.ServerError),
        (None, lakehouse.UnreachableError),
    ],
)
def test_after_the_last_attempt_the_error_is_the_server_s(server, trips, bad, kind):
    server.replies = [bad]
    with pytest.raises(kind) as told:
        trips()
    assert isinstance(told.value, LakehouseError)
    assert len(server.paths) == QUICK.attempts
    assert "limit=2" not in str(told.value), "an address is told without its parameters"


def test_a_wait_longer_than_all_patience_is_not_begun(server, trips):
    server.replies = [problem(429, "too-many-requests", **{"Retry-After": "3600"})]
    with pytest.raises(lakehouse.RateLimitedError) as told:
        trips()
    assert (told.value.retry_after, len(server.paths)) == (3600.0, 1)


def test_pauses_are_random_below_a_bound_that_grows_and_never_below_what_was_asked():
    bound = [max(pause(failures) for _ in range(200)) for failures in (1, 5, 50)]
    assert bound[0] < bound[1] < bound[2] <= 10
    error = lakehouse.RateLimitedError(429, "", "", None, 3.0)
    assert all(pause(1, error) >= 3 for _ in range(50))


def test_pages_are_followed_until_there_are_enough_rows(server):
    server.replies = [rows(next_cursor="c1"), rows(next_cursor="c2"), rows()]
    with lakehouse.LakehouseClient(server.url, "key", patience=QUICK) as client:
        assert len(client.get_recent_trips(3, as_of="time:-5m")) == 3
        first, second = server.paths
        assert "as_of=time%3A-5m" in first and "cursor=c1" in second and "as_of" not in second
        server.replies = [rows(next_cursor="c1"), rows()]
        assert [len(page) for page in client.table_pages("a b.c/d", page_size=2)] == [2, 2]
    assert server.paths[2].startswith("/api/v1/tables/a%20b/c%2Fd?")


def test_rows_become_frames_and_models(server):
    server.replies = [rows()]
    with lakehouse.LakehouseClient(server.url, "key", patience=QUICK) as client:
        frame = client.get_recent_trips(2)
        found = client.read_table("taxi_cdc.trips", columns=["trip_id", "fare_amount"], where=["trip_id:gt:6"])
    assert (frame["fare_amount"].sum(), str(frame["pickup_at"].dt.tz)) == (15.5, "UTC")
    assert frame.attrs["meta"]["freshness_seconds"] == 1.5
    assert found.to_arrow().equals(TRIPS)
    assert found.to_polars().schema["fare_amount"] == polars.Decimal(10, 2)
    assert [row.fare_amount for row in found] == [Decimal("12.50"), Decimal("3.00")]


@pytest.mark.parametrize(("package", "method"), [("pandas", "to_pandas"), ("polars", "to_polars")])
def test_a_missing_package_is_named(server, monkeypatch, package, method):
    server.replies = [rows()]
    with lakehouse.LakehouseClient(server.url, "key", patience=QUICK) as client:
        found = client.read_table("taxi_cdc.trips")
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ConfigurationError, match=f"needs {package}") as told:
        getattr(found, method)()
    assert told.value.remedy == f"pip install {package}"


def event(number: int) -> bytes:
    meta = {"rows": 0, "snapshots": [], "freshness_seconds": None, "derived": False, "reason": "x", "next_cursor": None}
    return f"id: {number}\nevent: activity\ndata: {json.dumps({'data': [], 'meta': meta})}\n\n".encode()


def test_a_stream_that_breaks_is_taken_up_where_it_was(server):
    stream = {"Content-Type": "text/event-stream"}
    server.replies = [(200, stream, event(1) + b": ping\n\n"), None, (200, stream, event(2)), problem(403, "forbidden")]
    with lakehouse.LakehouseClient(server.url, "key", patience=QUICK) as client:
        events = client.stream_activity()
        assert [next(events).id, next(events).id] == ["1", "2"]
        with pytest.raises(lakehouse.ForbiddenError):
            next(events)
    assert [each.get("Last-Event-ID") for each in server.headers] == [None, "1", "1", "2"]


def test_both_clients_have_the_same_methods():
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(lakehouse.LakehouseClient) == public(lakehouse.AsyncLakehouseClient)
