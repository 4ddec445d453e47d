"""The analytics of one origin by loops in plain Python: what the SQL must agree with."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)


def instant(local: datetime | None) -> datetime | None:
    return local.replace(tzinfo=NEW_YORK).astimezone(UTC) if local else None


class Origin:
    """One origin's trips as (zone, pick-up, drop-off, fare, miles), and the weather record that moved by `weeks`."""

    def __init__(self, trips: list[tuple], record: dict[datetime, Any], weeks: int) -> None:
        refunds = {(zone, up, off, -fare) for zone, up, off, fare, _ in trips if fare < 0}
        self.trips = [trip for trip in trips if trip[3] > 0 and trip[:4] not in refunds and possible(*trip)]
        self.record, self.weeks = record, weeks
        self.pickups: Counter[tuple[int, datetime]] = Counter()
        self.fares: defaultdict[tuple[int, datetime], Decimal] = defaultdict(Decimal)
        self.miles: defaultdict[datetime, list[Decimal]] = defaultdict(list)
        for zone, pickup, _, fare, miles in self.trips:
            hour = pickup.replace(minute=0, second=0, microsecond=0)
            self.pickups[zone, hour] += 1
            self.fares[zone, hour] += fare
            self.miles[hour] += [] if miles is None else [miles]
        self.hours = self._covered()
        self.dates = defaultdict(list)
        for hour in self.hours:
            self.dates[hour.astimezone(NEW_YORK).date()].append(hour)
        self.weekdays = Counter(day.weekday() for day in self.dates)

    def _covered(self) -> list[datetime]:
        newest = max(hour for _, hour in self.pickups)
        hours = []
        for day in sorted({hour.astimezone(NEW_YORK).date() for _, hour in self.pickups}):
            at = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(UTC)
            while at.astimezone(NEW_YORK).date() == day and at <= newest:
                hours.append(at)
                at += HOUR
        return hours

    def weather(self, hour: datetime) -> tuple[float | None, float | None, str | None, bool | None]:
        for further in (0, 52) if self.weeks else (0,):
            local = hour.astimezone(NEW_YORK).replace(tzinfo=None) - (self.weeks + further) * WEEK
            found = self.record.get(instant(local) if self.weeks else hour)
            if found:
                temperature, rain, condition, derived = found
                return temperature, rain, condition, derived or self.weeks > 0
        return None, None, None, None

    def is_wet(self, hour: datetime) -> bool:
        return (self.weather(hour)[1] or 0) >= 0.1

    def city_hour(self, hour: datetime) -> tuple:
        zones = [zone for zone in self.zones if (zone, hour) in self.pickups]
        trips, fares = sum(self.pickups[zone, hour] for zone in zones), sum(self.fares[zone, hour] for zone in zones)
        miles = self.miles.get(hour)
        mean_miles = float(sum(miles)) / len(miles) if miles else None
        temperature, rain, condition, derived = self.weather(hour)
        return condition, trips, float(fares) / trips if trips else None, mean_miles, temperature, rain, derived

    @property
    def zones(self) -> set[int]:
        return {zone for zone, _ in self.pickups}

    def usual(self, zone: int) -> dict[tuple[int, int], float]:
        """Mean pick-ups by weekday and hour of the day."""
        counted: Counter[tuple[int, int]] = Counter()
        for hour in self.hours:
            if trips := self.pickups.get((zone, hour)):
                local = hour.astimezone(NEW_YORK)
                counted[local.weekday(), local.hour] += trips
        return {when: trips / self.weekdays[when[0]] for when, trips in counted.items()}

    def zone_day(self, zone: int, day: date, usual: dict[tuple[int, int], float]) -> tuple:
        hours = self.dates[day]
        trips = [self.pickups.get((zone, hour), 0) for hour in hours]
        revenue = sum((self.fares[zone, hour] for hour in hours if (zone, hour) in self.fares), Decimal())
        wet = [hour for hour in hours if self.is_wet(hour)]
        score: float | None = 0.0
        if all(self.weather(hour)[1] is None for hour in hours):
            score = None
        elif wet:
            expected = sum(usual.get((day.weekday(), hour.astimezone(NEW_YORK).hour), 0) for hour in wet)
            score = 1 - (sum(self.pickups.get((zone, hour), 0) for hour in wet) + 1) / (expected + 1)
        peak = max(trips) * len(hours) / sum(trips) if sum(trips) else None
        fare = float(revenue) / sum(trips) if sum(trips) else None
        return sum(trips), revenue, fare, peak, score, len(wet)


def possible(zone: int, pickup: datetime, dropoff: datetime | None, fare: Decimal, miles: Decimal | None) -> bool:
    hours = (dropoff - pickup) / HOUR if dropoff else None
    if hours is not None and not 0 < hours <= 24:
        return False
    return miles is None or (miles >= 0 and (hours is None or float(miles) <= 100 * hours))
