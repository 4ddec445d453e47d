"""Tables that the stream keeps beside the mirror: windows over trips, what goes on in each zone, and alerts.

They are functions of one mirror at the position that they name, so a corrected, cancelled, moved or late trip corrects
every window it was or is in, however old. `trip_aggregations` counts trips by the 5 minutes and by the hour (UTC) in
which they began. `zone_activity` looks back an hour from every fifth minute:

    activity_score = pickups of the last hour / max(usual, 1)
    usual          = mean of the pickups of the same hour of New York's clock 1, 2, 3 and 4 weeks before

1 is as always. Where less than one pickup an hour is usual, one counts as usual, so that a single trip is no surge. The
last row lies at the end of the window that is open now; a zone has rows while its hour holds pickups, and one with 0
when it falls silent. Rows of the last KEPT_DAYS days (UTC) are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from catalog.tables.table import Column, Table

NAMESPACE = "realtime"
WINDOW = timedelta(minutes=5)
FIVE_MINUTES, HOUR = "5 minutes", "1 hour"
KEPT_DAYS = 7
WEEKS = (1, 2, 3, 4)
CLOCK = ZoneInfo("America/New_York")
AS_OF = "lake.as_of"
"""Entry of a snapshot's summary: the last window end for which zone activity was looked at, in ISO 8601."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The source table that the windows follow, `schema.table`, and what its columns mean.

    A row counts where `time` and `zone` are known. Each of `averages` is averaged over the rows that know it.
    """

    table: str
    time: str
    zone: str
    revenue: str
    averages: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (self.time, self.zone, self.revenue, *self.averages)


WATCHED = Watched("public.trips", "pickup_at", "pickup_location_id", "total_amount", ("fare_amount", "trip_distance"))

TRIP_AGGREGATIONS = Table(
    namespace=NAMESPACE,
    name="trip_aggregations",
    description="Trips by the window and zone in which they began; a window without trips has no row.",
    columns=(
        Column("window_start", "timestamp", "first instant of the window", required=True),
        Column("window_end", "timestamp", "first instant after it", required=True),
        Column("window_size", "string", "`5 minutes` or `1 hour`", required=True),
        Column("zone_id", "int", "taxi zone of the pickup", required=True),
        Column("trips", "bigint", "trips that began in it", required=True),
        Column("revenue", "decimal(38,2)", "sum of total_amount, dollars", required=True),
        Column("fare_amount", "decimal(38,2)", "sum, dollars", required=True),
        Column("fare_amount_trips", "bigint", "trips whose fare_amount is known", required=True),
        Column("avg_fare_amount", "double", "mean over these, dollars; null where none is known"),
        Column("trip_distance", "decimal(38,2)", "sum, miles", required=True),
        Column("trip_distance_trips", "bigint", "trips whose trip_distance is known", required=True),
        Column("avg_trip_distance", "double", "mean over these, miles; null where none is known"),
    ),
    key=("window_size", "window_start", "zone_id"),
    partition=("days(window_start)",),
    writer="the stream",
)

ZONE_ACTIVITY = Table(
    namespace=NAMESPACE,
    name="zone_activity",
    description="By zone and window end, the hour before it; see the module for the score.",
    columns=(
        Column("zone_id", "int", "taxi zone of the pickups", required=True),
        Column("activity_timestamp", "timestamp", "end of the hour looked at, every five minutes", required=True),
        Column("activity_score", "double", "pickups / max(usual pickups, 1); 1 is as always", required=True),
        Column("revenue_last_hour", "decimal(38,2)", "sum of total_amount, dollars", required=True),
        Column("pickup_count", "bigint", "trips that began in the hour", required=True),
    ),
    key=("zone_id", "activity_timestamp"),
    partition=("days(activity_timestamp)",),
    writer="the stream",
)

TABLES = (TRIP_AGGREGATIONS, ZONE_ACTIVITY)


def weeks_before(end: datetime, weeks: int) -> datetime:
    """The instant at which New York's clock showed the same, so many weeks before; of a doubtful hour its first."""
    clock = end.astimezone(CLOCK).replace(tzinfo=None, fold=0) - timedelta(weeks=weeks)
    return clock.replace(tzinfo=CLOCK).astimezone(UTC)
