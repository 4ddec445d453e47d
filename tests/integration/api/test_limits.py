"""What the API does when a query would take too long, or the store is away."""

import threading

import pytest

from catalog.errors import ComponentError
from catalog.settings import Settings
from serving.api.heads import Heads
from serving.api.lake import Lake, Rows
from serving.api.metrics import Metrics
from serving.api.problems import ProblemError
from serving.api.questions import Asked, Order, Question

SLOW = "select sum(hash(a.trip_id, b.trip_id, c.trip_id)) as total from trips a, trips b, trips c"


def ask(settings: Settings, sql: str) -> Rows:
    lake = Lake(settings, Heads(settings), Metrics())
    asked = Asked(Question("test", sql, {"trips": "taxi_cdc.trips"}, ("trips",), (Order("total"),)), {}, 1, {})
    return lake.ask(asked, lake.heads(asked))


def test_a_query_ends_when_its_time_is_up(settings):
    with pytest.raises(ProblemError) as refused:
        ask(settings.model_copy(update={"api_query_seconds": 2.0}), SLOW)
    assert (refused.value.name, refused.value.headers["Retry-After"]) == ("query-limit", "5")


def test_a_query_ends_when_its_memory_is_used(settings):
    rows = "select list(a.trip_id) as total from trips a, trips b group by b.trip_id"
    with pytest.raises(ProblemError) as refused:
        ask(settings.model_copy(update={"api_memory": "64MB", "api_query_seconds": 60.0}), rows)
    assert refused.value.name == "query-limit"


def test_a_query_that_waits_too_long_for_its_turn_is_refused(settings):
    lake = Lake(settings.model_copy(update={"api_query_seconds": 3.0}), Heads(settings), Metrics())
    asked = Asked(Question("test", SLOW, {"trips": "taxi_cdc.trips"}, ("trips",), (Order("total"),)), {}, 1, {})
    ended: list[str] = []

    def run() -> None:
        try:
            lake.ask(asked, lake.heads(asked))
        except ProblemError as refused:
            ended.append(refused.name)

    together = [threading.Thread(target=run) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join(60)
    assert ended == ["query-limit"] * 4


def test_a_store_that_is_away_is_told_as_such(settings):
    with pytest.raises(ComponentError, match="DuckDB cannot read the lake"):
        ask(settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:1"}), "select count(*) as total from trips")
