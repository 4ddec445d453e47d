"""The past that a request names, and the full hours that questions about the present are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from catalog.errors import HistoryError
from catalog.history import parse_instant
from catalog.time_travel import AsOf
from serving.api.problems import ProblemError

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=5)


def past(text: str) -> datetime | int:
    """The time, or the id of the snapshot, that `as_of` names. Raises ProblemError."""
    try:
        named = AsOf.parse(text)
        if named.kind == "snapshot":
            return int(named.value)
        return bounded(parse_instant(named.value))
    except (HistoryError, OverflowError) as wrong:
        raise ProblemError("invalid-request", f"as_of: {text!r} is neither a time nor a snapshot") from wrong


def bounded(moment: datetime) -> datetime:
    """The moment in UTC, its zone where it names none. Raises OverflowError outside of 1970 to 2200."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= aware <= LATEST:
        raise OverflowError(f"{moment} lies outside of 1970 to 2200")
    return aware.astimezone(UTC)


def present(as_of: str | None) -> datetime:
    """Now, or the time that `as_of` names. Raises ProblemError for a snapshot: it says nothing of other tables."""
    if as_of is None:
        return datetime.now(UTC)
    moment = past(as_of)
    if isinstance(moment, int):
        raise ProblemError("invalid-request", "as_of: several tables are read here, so give a time, such as time:-5m")
    return moment


def full_hour(moment: datetime) -> datetime:
    """The begin of the hour that the moment lies in: an unchanged table keeps its answer for that long."""
    return moment.replace(minute=0, second=0, microsecond=0)


def full_window(moment: datetime) -> datetime:
    """The end of the last five-minute window that had ended by then."""
    hour = full_hour(moment)
    return hour + (moment - hour) // WINDOW * WINDOW
