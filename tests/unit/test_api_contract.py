"""The API without a lake: its document is the committed one, and every request ends as its documentation says."""

import asyncio
import json

import httpx
import pytest

from catalog.settings import PROJECT, Settings
from catalog.tables import TABLES
from serving.api.app import create_app
from serving.api.keys import Keys, Scope
from serving.api.problems import TITLES, URN
from serving.api.questions import empty_view
from serving.api.routes import analytics, dashboard, operations, realtime

QUESTIONS = [
    dashboard.STATS, dashboard.SERIES, dashboard.RECENT, analytics.ZONES, analytics.WEATHER, analytics.DEMAND,
    analytics.ACCURACY, realtime.ACTIVITY, operations.RESULTS, operations.RUNS,
]  # fmt: skip


class Api:
    """The application in this process, asked over HTTP without a socket."""

    def __init__(self, app, headers) -> None:
        self._app, self.headers = app, headers

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers={**self.headers, **(headers or {})})

        return asyncio.run(asked())

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.ask("GET", path, headers)


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A state folder of its own, and a lake that is not there: nothing listens on port 1."""
    return Settings(
        _env_file=None, state_dir=tmp_path, catalog_uri="http://127.0.0.1:1", s3_endpoint="http://127.0.0.1:1"
    )


@pytest.fixture
def api(settings) -> "Api":
    _, key = Keys(settings.state_dir).create("test", frozenset({Scope.ANALYTICS}))
    return Api(create_app(settings), {"Authorization": f"Bearer {key}"})


def test_the_committed_document_is_the_application_s(settings):
    committed = json.loads((PROJECT / "serving" / "api" / "openapi.json").read_text())
    assert create_app(settings).openapi() == committed, "scripts/lake api --openapi > serving/api/openapi.json"


def test_every_route_documents_its_problems(settings):
    paths = create_app(settings).openapi()["paths"]
    for path, methods in paths.items():
        assert set(methods) == {"get"}, "the API is read-only"
        documented = methods["get"]["responses"]
        if path.startswith("/api/"):
            assert {"401", "403", "422", "429", "503"} <= set(documented), path
            assert all("application/problem+json" in documented[status]["content"] for status in ("401", "422"))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_has_a_grain_and_reads_known_shapes(question):
    assert question.sql.startswith("-- Grain: ")
    for table in question.views.values():
        assert '"nothing"' not in empty_view(table), table


def test_declared_tables_have_an_empty_shape():
    for table in TABLES:
        assert all(f'as "{name}"' in empty_view(table.identifier) for name in table.column_names)


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/nowhere", 404, "not-found"),
        ("/api/v1/trips/recent?limit=0", 422, "invalid-request"),
        ("/api/v1/trips/recent?limit=-5", 422, "invalid-request"),
        ("/api/v1/trips/recent?limit=1000000", 422, "invalid-request"),
        ("/api/v1/trips/recent?limit=ten", 422, "invalid-request"),
        ("/api/v1/trips/recent?page=2", 422, "invalid-request"),
        ("/api/v1/trips/recent?cursor=abc", 400, "malformed-cursor"),
        ("/api/v1/trips/recent?since=9999-12-31T23:59:59-14:00", 422, "invalid-request"),
        ("/api/v1/trips/recent?as_of=snapshot:12", 422, "invalid-request"),
        ("/api/v1/analytics/zones?since=2026-02-01&until=2026-01-01", 422, "invalid-request"),
        ("/api/v1/analytics/zones?origin=both", 422, "invalid-request"),
        ("/api/v1/predictions/demand?hours_ahead=0", 422, "invalid-request"),
        ("/api/v1/tables", 403, "forbidden"),
        ("/api/v1/quality", 403, "forbidden"),
        ("/api/v1/dashboard/stats", 503, "lake-unavailable"),
        ("/readyz", 503, "lake-unavailable"),
    ],
)
def test_a_bad_request_ends_as_a_problem(api, path, status, name):
    response = api.get(path, headers={"X-Request-Id": "mine-1"})
    problem = response.json()
    assert (response.status_code, problem["type"], problem["status"]) == (status, URN + name, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == response.headers["x-request-id"] == "mine-1"
    assert problem["title"] == TITLES[name][1]
    assert not {"Traceback", "File", "serving/"} & set(problem["detail"].split())


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}])
def test_without_a_valid_key_nothing_is_said(api, given):
    del api.headers["Authorization"]
    for path in ("/api/v1/dashboard/stats", "/api/v1/trips/recent?limit=0", "/api/v1/tables/x/y", "/api/v1/quality"):
        response = api.get(path, headers=given)
        assert (response.status_code, response.json()["type"]) == (401, URN + "unauthorized"), path
        assert response.headers["www-authenticate"] == "Bearer"


def test_the_api_is_read_only_and_says_what_it_counts(api):
    assert api.ask("POST", "/api/v1/trips/recent").json()["type"] == URN + "method-not-allowed"
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/healthz", headers={"X-Request-Id": "no good\tid" * 20}).headers["x-request-id"].isalnum()
    assert 'lake_api_requests_total{route="/healthz",status="200"} 2.0' in api.get("/metrics").text


def test_the_documentation_needs_nothing_from_elsewhere(api):
    page = api.get("/docs").text
    assert "//cdn" not in page and 'src="/static-offline-docs/swagger-ui-bundle.js"' in page
    assert api.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_a_format_that_cannot_be_given_is_refused(api):
    response = api.get("/api/v1/trips/recent", headers={"Accept": "text/html"})
    assert (response.status_code, response.json()["type"]) == (406, URN + "not-acceptable")
