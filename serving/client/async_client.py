"""The awaited client: the same methods as the blocking one, with the same arguments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import httpx
from httpx_sse import aconnect_sse
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


class AsyncLakehouseClient:
    """LakehouseClient for asyncio: use it with `async with`, or await `close`."""

    def __init__(self, url: str | None = None, api_key: str | None = None, *, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._http = httpx.AsyncClient(**connection(url, api_key, self._patience))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get_dashboard_stats(self, hours: int = 24, *, as_of: str | None = None) -> Stats:
        """Key figures of the last full hours against the hours before."""
        parameters = {"hours": hours, **({"as_of": as_of} if as_of else {})}
        envelope = (await self._get("/api/v1/dashboard/stats", parameters, JSON)).json()
        return Stats.model_validate({**envelope["data"], "meta": envelope["meta"]})

    async def get_recent_trips(
        self,
        limit: int = 100,
        *,
        location_id: int | None = None,
        since: datetime | None = None,
        as_of: str | None = None,
    ) -> pandas.DataFrame:
        """The newest `limit` trips by pick-up, all of one snapshot."""
        return (await self._rows(calls.trips(location_id, since, as_of), limit)).to_pandas()

    async def get_demand_predictions(
        self, hours_ahead: int = 24, *, location_id: int | None = None, as_of: str | None = None
    ) -> pandas.DataFrame:
        """Expected pick-ups of every zone in the hours to come, with their interval."""
        return (await self._rows(calls.demand(hours_ahead, location_id, as_of))).to_pandas()

    async def get_trip_series(self, hours: int = 168, *, as_of: str | None = None) -> Rows[HourOfTrips]:
        """Trips, revenue and fares by full hour."""
        return await self._rows(calls.series(hours, as_of))

    async def get_prediction_accuracy(self, hours: int = 168, *, as_of: str | None = None) -> Rows[PredictionAccuracy]:
        """How far predictions of hours that are over were from what came."""
        return await self._rows(calls.accuracy(hours, as_of))

    async def get_zone_performance(
        self,
        origin: Origin = "cdc",
        *,
        since: date | None = None,
        until: date | None = None,
        borough: str | None = None,
        as_of: str | None = None,
    ) -> Rows[ZonePerformance]:
        """Zones by fares earned over the days asked for."""
        return await self._rows(calls.zones(origin, since, until, borough, as_of))

    async def get_weather_impact(
        self,
        origin: Origin = "cdc",
        *,
        since: date | None = None,
        until: date | None = None,
        as_of: str | None = None,
    ) -> Rows[WeatherImpact]:
        """Demand under each weather condition."""
        return await self._rows(calls.weather(origin, since, until, as_of))

    async def get_realtime_activity(self, *, as_of: str | None = None) -> Rows[ZoneActivity]:
        """Each zone's newest window of the last hour."""
        return await self._rows(calls.activity(as_of))

    async def stream_activity(self, last_event_id: str | None = None) -> AsyncIterator[ActivityEvent]:
        """Activity whenever it changes, without an end; a connection that breaks is taken up where it was."""
        seen, failures = last_event_id, 0
        while True:
            try:
                async for event in self._events(seen):
                    seen, failures = event.id, 0
                    yield event
            except TRANSIENT as broken:
                failures += 1
                if failures == self._patience.attempts:
                    raise
                await asyncio.sleep(pause(failures, broken))
            else:
                await asyncio.sleep(pause(1))

    async def get_tables(self) -> Rows[LakeTable]:
        """Every table with its columns."""
        call = calls.tables()
        return rows_of(await self._get(call.path, {}, ARROW), call.model)

    async def read_table(
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
        return await self._rows(calls.table(name, columns, where, order_by, as_of), limit)

    def table_pages(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[str] = (),
        order_by: str | None = None,
        as_of: str | None = None,
        page_size: int = PAGE,
    ) -> AsyncIterator[Rows[Row]]:
        """All rows of a table, page by page, from one snapshot."""
        return self._pages(calls.table(name, columns, where, order_by, as_of), page_size)

    async def get_quality(
        self,
        dataset: str | None = None,
        *,
        severity: Severity | None = None,
        passed: bool | None = None,
        as_of: str | None = None,
    ) -> Rows[QualityResult]:
        """What each quality rule found when it was last asked."""
        return await self._rows(calls.quality(dataset, severity, passed, as_of))

    async def get_pipeline_status(self) -> Status:
        """Positions, freshness, quarantine and batch runs."""
        envelope = (await self._get("/api/v1/pipeline/status", {}, JSON)).json()
        return Status.model_validate({**envelope["data"], "meta": envelope["meta"]})

    async def _rows(self, call: Call[RowModel], limit: int | None = None) -> Rows[RowModel]:
        """Pages put together until there are `limit` rows, or no more."""
        pages: list[Rows[RowModel]] = []
        held = 0
        async for page in self._pages(call, min(limit or PAGE, PAGE)):
            pages.append(page)
            held += len(page)
            if limit is not None and held >= limit:
                break
        return together(pages, limit or held)

    async def _pages(self, call: Call[RowModel], size: int) -> AsyncIterator[Rows[RowModel]]:
        cursor: str | None = None
        while True:
            page = call.page(size, cursor)
            rows = rows_of(await self._get(page.path, page.query, ARROW), page.model)
            yield rows
            cursor = rows.meta.next_cursor
            if cursor is None:
                return

    async def _get(self, path: str, parameters: dict[str, Any], accept: str) -> httpx.Response:
        async for attempt in self._patience.retrying_async():
            with attempt:
                try:
                    response = await self._http.get(path, params=parameters, headers={"Accept": accept})
                except httpx.TransportError as failed:
                    raise unreachable(failed) from failed
                return checked(response)
        raise AssertionError("the last attempt returns or raises")

    async def _events(self, last_event_id: str | None) -> AsyncIterator[ActivityEvent]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            async with aconnect_sse(self._http, "GET", calls.STREAM, headers=headers) as source:
                if source.response.status_code >= httpx.codes.BAD_REQUEST:
                    await source.response.aread()
                checked(source.response)
                async for event in source.aiter_sse():
                    if event.event == "activity":  # a comment that keeps the connection is an event without data
                        yield ActivityEvent.model_validate({"id": event.id, **event.json()})
        except httpx.TransportError as failed:
            raise unreachable(failed) from failed
