"""The blocking client: one method per address of the API."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import httpx
from httpx_sse import connect_sse
from pydantic import BaseModel

from serving.client import calls
from serving.client.answers import ActivityEvent, Rows, Stats, Status, rows_of, together
from serving.client.calls import PAGE, Call, Origin
from serving.client.transport import ARROW, JSON, TRANSIENT, Patience, checked, connection, pause, unreachable
from serving.rows import (
    HourOfTrips,
    LakeTable,
    PredictionAccuracy,
    Row,
    WeatherImpact,
    ZoneActivity,
    ZonePerformance,
)
from serving.status import QualityResult

if TYPE_CHECKING:
    import pandas

RowModel = TypeVar("RowModel", bound=BaseModel)
Severity = Literal["error", "warning"]


class LakehouseClient:
    """Reads the lake through its API. Use it as a context manager, or `close` it; threads may share one.

    Address and key are LAKE_API_URL and LAKE_API_KEY where they are not given. Every method may raise UnreachableError
    and ApiError, after retries where they can help. `as_of` is the past: `time:2026-01-31T12:00:00Z` or `time:-5m`.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, *, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._http = httpx.Client(**connection(url, api_key, self._patience))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get_dashboard_stats(self, hours: int = 24, *, as_of: str | None = None) -> Stats:
        """Key figures of the last full hours against the hours before."""
        parameters = {"hours": hours, **({"as_of": as_of} if as_of else {})}
        envelope = self._get("/api/v1/dashboard/stats", parameters, JSON).json()
        return Stats.model_validate({**envelope["data"], "meta": envelope["meta"]})

    def get_recent_trips(
        self,
        limit: int = 100,
        *,
        location_id: int | None = None,
        since: datetime | None = None,
        as_of: str | None = None,
    ) -> pandas.DataFrame:
        """The newest `limit` trips by pick-up, all of one snapshot."""
        return self._rows(calls.trips(location_id, since, as_of), limit).to_pandas()

    def get_demand_predictions(
        self, hours_ahead: int = 24, *, location_id: int | None = None, as_of: str | None = None
    ) -> pandas.DataFrame:
        """Expected pick-ups of every zone in the hours to come, with their interval."""
        return self._rows(calls.demand(hours_ahead, location_id, as_of)).to_pandas()

    def get_trip_series(self, hours: int = 168, *, as_of: str | None = None) -> Rows[HourOfTrips]:
        """Trips, revenue and fares by full hour."""
        return self._rows(calls.series(hours, as_of))

    def get_prediction_accuracy(self, hours: int = 168, *, as_of: str | None = None) -> Rows[PredictionAccuracy]:
        """How far predictions of hours that are over were from what came."""
        return self._rows(calls.accuracy(hours, as_of))

    def get_zone_performance(
        self,
        origin: Origin = "cdc",
        *,
        since: date | None = None,
        until: date | None = None,
        borough: str | None = None,
        as_of: str | None = None,
    ) -> Rows[ZonePerformance]:
        """Zones by fares earned over the days asked for."""
        return self._rows(calls.zones(origin, since, until, borough, as_of))

    def get_weather_impact(
        self,
        origin: Origin = "cdc",
        *,
        since: date | None = None,
        until: date | None = None,
        as_of: str | None = None,
    ) -> Rows[WeatherImpact]:
        """Demand under each weather condition."""
        return self._rows(calls.weather(origin, since, until, as_of))

    def get_realtime_activity(self, *, as_of: str | None = None) -> Rows[ZoneActivity]:
        """Each zone's newest window of the last hour."""
        return self._rows(calls.activity(as_of))

    def stream_activity(self, last_event_id: str | None = None) -> Iterator[ActivityEvent]:
        """Activity whenever it changes, without an end; a connection that breaks is taken up where it was."""
        seen, failures = last_event_id, 0
        while True:
            try:
                for event in self._events(seen):
                    seen, failures = event.id, 0
                    yield event
            except TRANSIENT as broken:
                failures += 1
                if failures == self._patience.attempts:
                    raise
                time.sleep(pause(failures, broken))
            else:
                time.sleep(pause(1))

    def get_tables(self) -> Rows[LakeTable]:
        """Every table with its columns."""
        call = calls.tables()
        return rows_of(self._get(call.path, {}, ARROW), call.model)

    def read_table(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[str] = (),
        order_by: str | None = None,
        as_of: str | None = None,
        limit: int = PAGE,
    ) -> Rows[Row]:
        """At most `limit` rows of `namespace.table`; conditions are `column:operator:value`, see the API's /docs."""
        return self._rows(calls.table(name, columns, where, order_by, as_of), limit)

    def table_pages(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[str] = (),
        order_by: str | None = None,
        as_of: str | None = None,
        page_size: int = PAGE,
    ) -> Iterator[Rows[Row]]:
        """All rows of a table, page by page, from one snapshot."""
        return self._pages(calls.table(name, columns, where, order_by, as_of), page_size)

    def get_quality(
        self,
        dataset: str | None = None,
        *,
        severity: Severity | None = None,
        passed: bool | None = None,
        as_of: str | None = None,
    ) -> Rows[QualityResult]:
        """What each quality rule found when it was last asked."""
        return self._rows(calls.quality(dataset, severity, passed, as_of))

    def get_pipeline_status(self) -> Status:
        """Positions, freshness, quarantine and batch runs."""
        envelope = self._get("/api/v1/pipeline/status", {}, JSON).json()
        return Status.model_validate({**envelope["data"], "meta": envelope["meta"]})

    def _rows(self, call: Call[RowModel], limit: int | None = None) -> Rows[RowModel]:
        """Pages put together until there are `limit` rows, or no more."""
        pages: list[Rows[RowModel]] = []
        held = 0
        for page in self._pages(call, min(limit or PAGE, PAGE)):
            pages.append(page)
            held += len(page)
            if limit is not None and held >= limit:
                break
        return together(pages, limit or held)

    def _pages(self, call: Call[RowModel], size: int) -> Iterator[Rows[RowModel]]:
        cursor: str | None = None
        while True:
            page = call.page(size, cursor)
            rows = rows_of(self._get(page.path, page.query, ARROW), page.model)
            yield rows
            cursor = rows.meta.next_cursor
            if cursor is None:
                return

    def _get(self, path: str, parameters: dict[str, Any], accept: str) -> httpx.Response:
        for attempt in self._patience.retrying():
            with attempt:
                try:
                    response = self._http.get(path, params=parameters, headers={"Accept": accept})
                except httpx.TransportError as failed:
                    raise unreachable(failed) from failed
                return checked(response)
        raise AssertionError("the last attempt returns or raises")

    def _events(self, last_event_id: str | None) -> Iterator[ActivityEvent]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            with connect_sse(self._http, "GET", calls.STREAM, headers=headers) as source:
                if source.response.status_code >= httpx.codes.BAD_REQUEST:
                    source.response.read()
                checked(source.response)
                for event in source.iter_sse():
                    if event.event == "activity":  # a comment that keeps the connection is an event without data
                        yield ActivityEvent.model_validate({"id": event.id, **event.json()})
        except httpx.TransportError as failed:
            raise unreachable(failed) from failed
