"""Tables that the stream keeps beside the mirror: windows over trips, what goes on in each zone, and alerts.

They are functions of one mirror at the position that they name, so a corrected, cancelled, moved or late trip corrects
every window it was or is in, however old. `trip_aggregations` counts trips by the 5 minutes and by the hour (UTC) in
which they began. `zone_activity` looks back an hour from every fifth minute:

    activity_score = pickups of the last hour / max(usual, LEAST_USUAL)
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
LEAST_USUAL = 1.0
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
ALERTS = Table(
    namespace=NAMESPACE,
    name="alerts",
    description="One row per alert; it is written before anybody is told, and changed when the alert is over.",
    columns=(
        Column("rule", "string", "surge, silence, lag, errors, difference or fare", required=True),
        Column("subject", "string", "what it is about: a zone, a source table, a row's key", required=True),
        Column("value", "double", "what was seen when it was raised, in the rule's unit", required=True),
        Column("threshold", "double", "the value from which on it is raised", required=True),
        Column("raised_at", "timestamp", "", required=True),
        Column("cleared_at", "timestamp", "when it was over; null while it is not"),
        Column("notified_at", "timestamp", "when the webhook took it; null without a webhook, or not yet"),
    ),
    key=("rule", "subject", "raised_at"),
    partition=("days(raised_at)",),
    writer="the stream",
)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Raised for a subject whose value reaches `threshold`, over when it is below `over_below` (both in the unit that
    the description names). `at_least` is how many trips must stand behind the value.
    """

    name: str
    description: str
    threshold: float
    over_below: float
    at_least: int = 0


SURGE = AlertRule("surge", "activity score of a zone", threshold=3.0, over_below=2.0, at_least=10)
SILENCE = AlertRule("silence", "minutes since the source's last change", threshold=15.0, over_below=15.0)
LAG = AlertRule("lag", "seconds from a commit in the source to its windows", threshold=60.0, over_below=30.0)
ERRORS = AlertRule("errors", "share of the last minutes' records set aside", threshold=0.01, over_below=0.01)
DIFFERENCE = AlertRule(
    "difference", "rows and events of a table that a verification found to differ", threshold=1.0, over_below=1.0
)
FARE = AlertRule(
    "fare",
    "distance of a trip's fare from the median of its zone and distance, in robust standard deviations (1.4826 times "
    "the median absolute deviation, at least a tenth of the median and a dollar); the alert's value and threshold are "
    "dollars, and it is over when the trip is corrected or cancelled, or after FARE_STANDS",
    threshold=20.0,
    over_below=20.0,
    at_least=30,
)
FARE_STANDS = timedelta(days=1)
FARE_COLUMN, DISTANCE_COLUMN = "fare_amount", "trip_distance"
"""Of WATCHED.averages, what the fare rule compares."""
DISTANCES = (0.01, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 13.0, 20.0, 40.0)
"""Miles at which one class of distances ends and the next begins."""


def weeks_before(end: datetime, weeks: int) -> datetime:
    """The instant at which New York's clock showed the same, so many weeks before; of a doubtful hour its first."""
    clock = end.astimezone(CLOCK).replace(tzinfo=None, fold=0) - timedelta(weeks=weeks)
    return clock.replace(tzinfo=CLOCK).astimezone(UTC)
