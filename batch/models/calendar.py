"""Hours as New York knows them: local hour, weekday and holidays, which are known at any time in advance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
AHEAD = 24 * HOUR
"""How far a prediction reaches, and how long before its hour the features of that hour are known."""
SCHEMA = pa.schema(
    {
        "origin": pa.string(),
        "hour": pa.timestamp("us", "UTC"),
        "hour_number": pa.int64(),
        "local_hour": pa.int32(),
        "weekday": pa.int32(),
        "is_holiday": pa.bool_(),
        "is_holiday_eve": pa.bool_(),
        "is_past": pa.bool_(),
    }
)


@dataclass(frozen=True)
class Span:
    """The hours of an origin: from `first_hour`, with trips known until `known_until`; both whole hours in UTC."""

    origin: str
    first_hour: datetime
    known_until: datetime


def calendar(spans: list[Span]) -> pa.Table:
    """Every hour of each span and the 24 that follow the hour that runs at its end; weekday 1 is Sunday."""
    import holidays

    of_new_york = holidays.country_holidays("US", subdiv="NY")
    rows = []
    for span in spans:
        for number in range((span.known_until + AHEAD - span.first_hour) // HOUR + 1):
            hour = span.first_hour + number * HOUR
            local = hour.astimezone(NEW_YORK)
            rows.append(
                {
                    "origin": span.origin,
                    "hour": hour,
                    "hour_number": number + 1,
                    "local_hour": local.hour,
                    "weekday": local.isoweekday() % 7 + 1,
                    "is_holiday": local.date() in of_new_york,
                    "is_holiday_eve": local.date() + timedelta(days=1) in of_new_york,
                    "is_past": hour < span.known_until,
                }
            )
    return pa.Table.from_pylist(rows, SCHEMA)
