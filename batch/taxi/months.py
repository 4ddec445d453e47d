"""Months, as TLC names its files by them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from catalog.errors import ConfigurationError


class Month(NamedTuple):
    """A calendar month; months compare by time, and read as `2019-01`."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    def moved(self, months: int) -> Month:
        """The month so many months later, or before."""
        year, place = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(year, place + 1)

    @classmethod
    def of(cls, day: date | datetime) -> Month:
        """The month that holds a day."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2019-01`. Raises ConfigurationError."""
        if not (found := re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text.strip())):
            raise ConfigurationError(f"{text!r} is no month", remedy="write months as 2019-01,2019-02")
        return cls(int(found[1]), int(found[2]))


def through(first: Month, last: Month) -> Iterator[Month]:
    """Every month from first to last, both included."""
    while first <= last:
        yield first
        first = first.moved(1)
